import { StatusError, reasons, type Reason } from '@naru/foundation';
import type { AdmissionCel } from '@naru/api';
import type { Authorizer } from '../../auth/authorizer';
import { warn } from '../../objects/request';
import type { WatchCache } from '../../storage/watch-cache';
import { isExempt } from '../matching/attributes';
import type { AdmissionDeps, AdmissionPlugin, AdmissionRequest } from '../plugin';
import { refuse } from '../refuse';
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

interface Validation {
  expression: string;
  message?: string | undefined;
  messageExpression?: string | undefined;
  reason?: string | undefined;
}

interface ValidatingSpec extends PolicySpec {
  validations?: Validation[] | undefined;
}

interface Decision {
  policy: string;
  binding: Binding | undefined;
  message: string;
  reason: string | undefined;
}

interface CompiledPolicy {
  variables: Map<string, Compiled>;
  validations: { expression: Compiled; message: Compiled | undefined }[];
}

const maxMessageBytes = 5 * 1024;
const compiled = new WeakMap<Policy<ValidatingSpec>, CompiledPolicy>();

/** Rules about what may be written, as objects of the cluster. */
export function validatingPolicies(
  caches: { policies: WatchCache; bindings: WatchCache },
  { authorizer }: { authorizer: Authorizer },
): AdmissionPlugin {
  const policies = new Policies<ValidatingSpec>(caches);
  return {
    name: 'ValidatingAdmissionPolicy',
    handles: request => caches.bindings.size > 0 && !isExempt(request),
    async validate(request, deps) {
      const denied: Decision[] = [];
      for (const policy of policies.all) await judge(policy, request, { ...deps, authorizer }, denied);
      if (denied[0]) throw denial(denied[0], request);
    },
  };
}

function judge(
  policy: Policy<ValidatingSpec>,
  request: AdmissionRequest,
  deps: AdmissionDeps & { authorizer: Authorizer },
  denied: Decision[],
): Promise<void> {
  const decide = (message: string, reason: string | undefined, binding: Binding | undefined): void => {
    const actions = binding?.spec.validationActions ?? ['Deny'];
    if (actions.includes('Deny')) denied.push({ policy: policy.name, binding, message, reason });
    if (actions.includes('Warn') && binding)
      warn(request, [
        `Validation failed for ValidatingAdmissionPolicy '${policy.name}' with binding '${binding.name}': ${message}`,
      ]);
  };
  return invokePolicy(policy, request, deps, {
    variables: cel => compile(cel, policy).variables,
    ask: (invocation, binding) => {
      const { validations } = compile(invocation.cel, policy);
      for (const [index, validation] of (policy.spec.validations ?? []).entries()) {
        const outcome = evaluate(invocation, validations[index]!, validation);
        if (outcome === true) continue;
        if (typeof outcome === 'string') decide(outcome, validation.reason, binding);
        else if (policy.failsClosed) decide(outcome.message, undefined, binding);
      }
    },
    fail: (problem, binding) => {
      if (policy.failsClosed) decide(problem, undefined, binding);
    },
  });
}

function compile(cel: AdmissionCel, policy: Policy<ValidatingSpec>): CompiledPolicy {
  let done = compiled.get(policy);
  if (!done) {
    const variables = compileVariables(cel, policy.spec);
    const scope = { params: policy.spec.paramKind !== undefined, variables };
    done = {
      variables,
      validations: (policy.spec.validations ?? []).map(({ expression, messageExpression }) => ({
        expression: attempt(() =>
          cel.compileAdmission(expression, scope, { types: ['bool'], problem: 'must evaluate to bool' }),
        ),
        message: messageExpression
          ? attempt(() =>
              cel.compileAdmission(messageExpression, scope, { types: ['string'], problem: 'must evaluate to string' }),
            )
          : undefined,
      })),
    };
    compiled.set(policy, done);
  }
  return done;
}

/** True; or what to say against the request; or why it cannot be told. */
function evaluate(
  { cel, budget, context }: Invocation,
  { expression, message }: CompiledPolicy['validations'][number],
  validation: Validation,
): true | string | Error {
  if (expression instanceof Error) return new Error(`compilation error: ${expression.message}`);
  try {
    if (cel.runWithinBudget(expression, context, budget) === true) return true;
  } catch (error) {
    return new Error(`expression '${validation.expression}' resulted in error: ${cel.messageOf(error)}`);
  }
  const own = validation.message?.trim() || `failed expression: ${validation.expression.trim()}`;
  if (!message || message instanceof Error) return own;
  const text = attempt(() => cel.runWithinBudget(message, context, budget));
  const said = typeof text === 'string' ? text.trim() : '';
  return said === '' || said.includes('\n') || Buffer.byteLength(said) > maxMessageBytes ? own : said;
}

function denial({ policy, binding, message, reason }: Decision, request: AdmissionRequest): StatusError {
  const by = binding ? ` with binding '${binding.name}'` : '';
  const text = `ValidatingAdmissionPolicy '${policy}'${by} denied request: ${message}`;
  const shown: Reason = reason !== undefined && reason in reasons ? (reason as Reason) : 'Invalid';
  const { message: whole, details } = refuse(request, text);
  return new StatusError(shown, whole, { details: { ...details, causes: [{ message: text }] } });
}
