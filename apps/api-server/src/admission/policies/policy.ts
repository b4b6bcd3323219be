import type { AdmissionCel, KubeObject, Program } from '@naru/api';
import { decodeBytes } from '../../storage/codec';
import type { WatchCache } from '../../storage/watch-cache';
import { matchCriteria, type MatchCriteria, type MatchResources } from '../matching/criteria';
import { MatchConditions, type MatchCondition } from '../matching/match-conditions';

export type Compiled = Program | Error;

/** What the two kinds of policy have in common. */
export interface PolicySpec {
  paramKind?: { apiVersion?: string; kind?: string } | undefined;
  matchConstraints?: MatchResources | undefined;
  matchConditions?: MatchCondition[] | undefined;
  failurePolicy?: string | undefined;
  variables?: { name: string; expression: string }[] | undefined;
}

export interface ParamRef {
  name?: string | undefined;
  namespace?: string | undefined;
  selector?: object | undefined;
  parameterNotFoundAction?: string | undefined;
}

export interface BindingSpec {
  policyName?: string | undefined;
  paramRef?: ParamRef | undefined;
  matchResources?: MatchResources | undefined;
  validationActions?: string[] | undefined;
}

export interface Binding {
  name: string;
  spec: BindingSpec;
  criteria: MatchCriteria;
}

/** A policy that something binds, ready to be asked. */
export interface Policy<Spec extends PolicySpec = PolicySpec> {
  name: string;
  spec: Spec;
  criteria: MatchCriteria;
  conditions: MatchConditions;
  failsClosed: boolean;
  bindings: readonly Binding[];
}

/** All bound policies of one kind, by name. */
export class Policies<Spec extends PolicySpec> {
  private generation = -1;
  private bound: readonly Policy<Spec>[] = [];

  constructor(private readonly caches: { policies: WatchCache; bindings: WatchCache }) {}

  get all(): readonly Policy<Spec>[] {
    const { policies, bindings } = this.caches;
    const generation = policies.generation + bindings.generation;
    if (generation !== this.generation) {
      this.bound = this.bind();
      this.generation = generation;
    }
    return this.bound;
  }

  private bind(): Policy<Spec>[] {
    const byPolicy = new Map<string, Binding[]>();
    for (const { name, bytes } of this.caches.bindings.select({ namespace: '' })) {
      const { spec = {} } = decodeBytes<KubeObject & { spec?: BindingSpec }>(bytes);
      const binding = { name, spec, criteria: matchCriteria(spec.matchResources) };
      byPolicy.set(spec.policyName ?? '', [...(byPolicy.get(spec.policyName ?? '') ?? []), binding]);
    }
    return this.caches.policies.select({ namespace: '' }).flatMap(({ name, bytes }) => {
      const bindings = byPolicy.get(name);
      if (!bindings) return [];
      const { spec } = decodeBytes<KubeObject & { spec: Spec }>(bytes);
      const conditions = new MatchConditions(spec.matchConditions ?? [], { params: spec.paramKind !== undefined });
      const criteria = matchCriteria(spec.matchConstraints);
      return [{ name, spec, criteria, conditions, failsClosed: spec.failurePolicy !== 'Ignore', bindings }];
    });
  }
}

/** The composed variables of a policy: each may name those before it. */
export function compileVariables(cel: AdmissionCel, { variables = [], paramKind }: PolicySpec): Map<string, Compiled> {
  const compiled = new Map<string, Compiled>();
  for (const { name, expression } of variables) {
    const scope = { params: paramKind !== undefined, variables: new Map(compiled) };
    compiled.set(
      name,
      attempt(() => cel.compileAdmission(expression, scope)),
    );
  }
  return compiled;
}

export function attempt<T>(work: () => T): T | Error {
  try {
    return work();
  } catch (error) {
    return error as Error;
  }
}
