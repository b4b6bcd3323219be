import { StatusError } from '@naru/foundation';
import { applyPatch, mergeObjects, mergeTypeOf, patchMediaTypes, type AdmissionCel, type KubeObject } from '@naru/api';
import type { Authorizer } from '../../auth/authorizer';
import type { WatchCache } from '../../storage/watch-cache';
import { adoptChanged } from '../matching/adopt-changed';
import { isExempt } from '../matching/attributes';
import type { AdmissionDeps, AdmissionPlugin, AdmissionRequest } from '../plugin';
import { refuse } from '../refuse';
import { ReinvocationPass } from '../reinvocation';
import { invokePolicy, type Invocation } from './invocations';
import {
  attempt,
  compileVariables,
  Policies,
  type Binding,
  type Compiled,
  type Policy,
  type PolicySpec,
} from './policy';

interface Mutation {
  patchType?: string | undefined;
  applyConfiguration?: { expression?: string | undefined } | undefined;
  jsonPatch?: { expression?: string | undefined } | undefined;
}

export interface MutatingSpec extends PolicySpec {
  mutations?: Mutation[] | undefined;
  reinvocationPolicy?: string | undefined;
}

interface CompiledPolicy {
  variables: Map<string, Compiled>;
  mutations: Compiled[];
}

const name = 'MutatingAdmissionPolicy';
/** Fields of a JSON patch that are texts; `value` may be anything. */
const patchFields = ['op', 'path', 'from'] as const;

export function mutationExpression({ applyConfiguration, jsonPatch }: Mutation): string {
  return applyConfiguration?.expression ?? jsonPatch?.expression ?? '';
}

/** Changes to what is written, as objects of the cluster. */
export function mutatingPolicies(
  caches: { policies: WatchCache; bindings: WatchCache },
  { authorizer }: { authorizer: Authorizer },
): AdmissionPlugin {
  const policies = new Policies<MutatingSpec>(caches);
  const compiled = new WeakMap<Policy<MutatingSpec>, CompiledPolicy>();
  const compile = (cel: AdmissionCel, policy: Policy<MutatingSpec>): CompiledPolicy => {
    let done = compiled.get(policy);
    if (!done) compiled.set(policy, (done = compilePolicy(cel, policy.spec)));
    return done;
  };
  return {
    name,
    handles: request => caches.bindings.size > 0 && request.object !== undefined && !isExempt(request),
    async admit(request, deps) {
      const pass = new ReinvocationPass(name, request);
      for (const policy of policies.all) {
        if (!pass.asks(policy.name)) continue;
        let asked = false;
        let changed = false;
        await invokePolicy(
          policy,
          request,
          { ...deps, authorizer },
          {
            variables: cel => compile(cel, policy).variables,
            ask: async (invocation, binding) => {
              asked = true;
              const { mutations } = compile(invocation.cel, policy);
              changed = (await mutate(policy, binding, mutations, invocation, request, deps)) || changed;
            },
            fail: (problem, binding) => {
              if (policy.failsClosed) throw denial(policy, binding, problem, request);
            },
          },
        );
        if (asked) pass.after(policy.name, { changed, reinvocable: policy.spec.reinvocationPolicy === 'IfNeeded' });
      }
      pass.end();
    },
  };
}

function compilePolicy(cel: AdmissionCel, spec: MutatingSpec): CompiledPolicy {
  const variables = compileVariables(cel, spec);
  const scope = { params: spec.paramKind !== undefined, variables };
  const mutations = (spec.mutations ?? []).map(mutation =>
    attempt(() => cel.compileAdmission(cel.withoutTypedLiterals(mutationExpression(mutation)), scope)),
  );
  return { variables, mutations };
}

/** Each mutation sees what those before it made. */
async function mutate(
  policy: Policy<MutatingSpec>,
  binding: Binding,
  mutations: readonly Compiled[],
  { cel, budget, context, objects }: Invocation,
  request: AdmissionRequest,
  deps: AdmissionDeps,
): Promise<boolean> {
  let object = objects.object!;
  for (const [index, program] of mutations.entries()) {
    try {
      if (program instanceof Error) throw program;
      const value = cel.toJson(cel.runWithinBudget(program, context, budget));
      object = changedObject(policy.spec.mutations![index]!, object, value, objects.shownAs);
      cel.replaceObject(context, object);
    } catch (error) {
      if (policy.failsClosed) throw denial(policy, binding, cel.messageOf(error), request);
      deps.logger.warn({ policy: policy.name, err: error }, 'mutating policy failed, and is ignored');
    }
  }
  return adoptChanged(request, objects.shownAs, object);
}

function changedObject(
  { patchType, jsonPatch }: Mutation,
  object: KubeObject,
  value: unknown,
  shownAs: Invocation['objects']['shownAs'],
): KubeObject {
  if (patchType === 'JSONPatch' || jsonPatch) {
    if (!Array.isArray(value)) throw new Error('the expression of a JSON patch must give a list');
    const operations = value.map(operation => {
      const given = operation as Record<string, unknown>;
      for (const field of patchFields)
        if (given[field] !== undefined && typeof given[field] !== 'string') throw new Error(`${field} must be a text`);
      return given;
    });
    return applyPatch(patchMediaTypes.json, object, JSON.stringify(operations), shownAs) as KubeObject;
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Error('the expression of an apply configuration must give an Object');
  for (const field of ['apiVersion', 'kind'])
    if (field in value) throw new Error(`invalid ApplyConfiguration: may not set ${field}`);
  return mergeObjects(mergeTypeOf(shownAs), object as Record<string, unknown>, value as Record<string, unknown>);
}

function denial(
  policy: Policy<MutatingSpec>,
  binding: Binding | undefined,
  problem: string,
  request: AdmissionRequest,
): StatusError {
  const by = binding ? ` with binding '${binding.name}'` : '';
  const { message, details } = refuse(request, `${name} '${policy.name}'${by} denied request: ${problem}`);
  return new StatusError('Invalid', message, { ...(details ? { details } : {}) });
}
