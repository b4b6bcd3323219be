import { loadAdmissionCel, type AdmissionCel, type AnyDefinition, type Budget, type KubeObject } from '@naru/api';
import type { Authorizer } from '../../auth/authorizer';
import { celValues } from '../matching/cel-values';
import { matchedVersion } from '../matching/criteria';
import type { AdmissionDeps, AdmissionRequest } from '../plugin';
import { reviewedObjects } from '../webhooks/dispatcher';
import type { ReviewedObjects } from '../webhooks/call-webhook';
import { collectParams } from './params';
import type { Binding, Compiled, Policy, PolicySpec } from './policy';

export type PolicyDeps = AdmissionDeps & { authorizer: Authorizer };

/** One policy under one binding, asked with one set of parameters. */
export interface Invocation {
  cel: AdmissionCel;
  budget: Budget;
  /** What the expressions see. */
  context: Record<string, unknown>;
  objects: ReviewedObjects;
}

/** Why a policy could not be asked: its failure policy says what that means. */
export class PolicyFailure extends Error {}

/**
 * Asks `ask` for each set of parameters of each binding that a request concerns, and `fail` where that is impossible.
 */
export async function invokePolicy<Spec extends PolicySpec>(
  policy: Policy<Spec>,
  request: AdmissionRequest,
  deps: PolicyDeps,
  {
    variables,
    ask,
    fail,
  }: {
    variables(cel: AdmissionCel): ReadonlyMap<string, Compiled>;
    ask(invocation: Invocation, binding: Binding): void | Promise<void>;
    fail(problem: string, binding: Binding | undefined): void;
  },
): Promise<void> {
  let shownAs: AnyDefinition | undefined;
  try {
    shownAs = matchedVersion(policy.criteria, request, deps);
  } catch (error) {
    fail(`failed to configure policy: ${(error as Error).message}`, undefined);
  }
  if (!shownAs) return;
  const cel = await loadAdmissionCel();
  for (const binding of policy.bindings) {
    let params: (KubeObject | undefined)[];
    try {
      if (!matchedVersion(binding.criteria, request, deps)) continue;
      params = await collectParams(policy.spec, binding.spec.paramRef, request, deps);
    } catch (error) {
      fail(`failed to configure binding: ${(error as Error).message}`, binding);
      continue;
    }
    for (const param of params) {
      const objects = await reviewedObjects(request, shownAs);
      const budget = cel.budgetFor(objects.object, objects.old, param);
      const base = cel.admissionContext(celValues(request, deps, deps.authorizer, objects));
      const context = cel.withBinding(base, param, variables(cel));
      const matches = policy.conditions.evaluate(cel, context, budget);
      if (matches instanceof Error) fail(matches.message, binding);
      else if (matches) await ask({ cel, budget, context, objects }, binding);
    }
  }
}
