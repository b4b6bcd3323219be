import type { ASTNode, Environment } from '@marcbachmann/cel-js';
import { authorizerValue, registerAuthorizer, type Decide, type Requested } from './authorizer';
import { childrenOf } from './cost';
import { kubernetesEnvironment } from './library';
import { compileProgram, type Expected, type Program } from './program';
import { toCel } from './values';

export { budgetFor, OutOfBudget, runWithinBudget, type Budget } from './budget';
export type { AuthorizationQuestion, Decide, Requested } from './authorizer';
export type { Expected, Program } from './program';

/** Which of the optional variables an expression may name. */
export interface AdmissionScope {
  params: boolean;
  /** Names of composed variables, those that are declared before the expression. */
  variables: readonly string[];
}

/** What the expressions of admission see: JSON values, absent ones null. */
export interface AdmissionValues {
  object: unknown;
  oldObject: unknown;
  request: unknown;
  namespaceObject: unknown;
  params?: unknown;
  decide: Decide;
  requested: Requested;
}

const requestFields = new Set(
  `uid kind resource subResource requestKind requestResource requestSubResource name namespace operation userInfo
  dryRun options`.split(/\s+/),
);

const environments = new Map<boolean, Environment>();

function environmentOf(params: boolean): Environment {
  let environment = environments.get(params);
  if (!environment) {
    environment = registerAuthorizer(kubernetesEnvironment())
      .registerVariable('object', 'dyn')
      .registerVariable('oldObject', 'dyn')
      .registerVariable('request', 'dyn')
      .registerVariable('namespaceObject', 'dyn')
      .registerVariable('variables', 'dyn')
      .registerVariable('authorizer', 'kubernetes.authorization.Authorizer');
    if (params) environment.registerVariable('params', 'dyn');
    environments.set(params, environment);
  }
  return environment;
}

/** Compiles an expression of a webhook's match condition or of an admission policy. @throws Error in upstream's words */
export function compileAdmission(text: string, scope: AdmissionScope, expected: Expected): Program {
  const program = compileProgram(text, environmentOf(scope.params), expected);
  const known: Record<string, { has(name: string): boolean }> = {
    request: requestFields,
    variables: new Set(scope.variables),
  };
  const walk = (node: ASTNode): void => {
    if (node.op === '.' && node.args[0].op === 'id') {
      const fields = known[node.args[0].args];
      if (fields && !fields.has(node.args[1]))
        throw new Error(`compilation failed: ERROR: <input>:1:${node.start + 1}: undefined field '${node.args[1]}'`);
    }
    for (const child of childrenOf(node)) walk(child);
  };
  walk(program.ast);
  return program;
}

/** The variables as expressions see them. Made once a request: objects are converted whole. */
export function admissionContext(values: AdmissionValues): Record<string, unknown> {
  const convert = (value: unknown): unknown => toCel(value, undefined, { duration: text => text });
  return {
    object: convert(values.object),
    oldObject: convert(values.oldObject),
    request: convert(values.request),
    namespaceObject: convert(values.namespaceObject),
    params: convert(values.params),
    authorizer: authorizerValue(values.decide, values.requested),
    variables: new Map<string, unknown>(),
  };
}
