import { Optional, type ASTNode, type Environment } from '@marcbachmann/cel-js';
import { authorizerValue, registerAuthorizer, type Decide, type Requested } from './authorizer';
import { childrenOf, type RuleCost } from './cost';
import { kubernetesEnvironment } from './library';
import { compileProgram, type Expected, type Program } from './program';
import { toCel } from './values';

export { budgetFor, OutOfBudget, runWithinBudget, type Budget } from './budget';
export { withoutTypedLiterals } from './typed-literals';
export type { AuthorizationQuestion, Decide, Requested } from './authorizer';
export type { Expected, Program } from './program';

/** Which of the optional variables an expression may name. */
export interface AdmissionScope {
  params: boolean;
  /** The composed variables that are declared before the expression. */
  variables: ReadonlyMap<string, Program | Error>;
}

/** What the expressions of admission see: JSON values, absent ones null. */
export interface AdmissionValues {
  object: unknown;
  oldObject: unknown;
  request: unknown;
  namespaceObject: unknown;
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
export function compileAdmission(text: string, scope: AdmissionScope, expected?: Expected): Program {
  const program = compileProgram(text, environmentOf(scope.params), expected);
  const known: Record<string, { has(name: string): boolean }> = {
    request: requestFields,
    variables: scope.variables,
  };
  const used: Program[] = [];
  const walk = (node: ASTNode): void => {
    if (node.op === '.' && node.args[0].op === 'id') {
      const fields = known[node.args[0].args];
      if (fields && !fields.has(node.args[1]))
        throw new Error(`compilation failed: ERROR: <input>:1:${node.start + 1}: undefined field '${node.args[1]}'`);
      const variable = node.args[0].args === 'variables' ? scope.variables.get(node.args[1]) : undefined;
      if (variable && !(variable instanceof Error)) used.push(variable);
    }
    for (const child of childrenOf(node)) walk(child);
  };
  walk(program.ast);
  return { ...program, cost: together(program.cost, used) };
}

/** A variable runs inside of the expression that names it first, and may be what that one loops over. */
function together(own: RuleCost, used: readonly Program[]): RuleCost {
  return {
    nodes: used.reduce((sum, { cost }) => sum + cost.nodes, own.nodes),
    depth: own.depth + Math.max(0, ...used.map(({ cost }) => cost.depth)),
  };
}

/** The variables as expressions see them. Made once a request: objects are converted whole. */
export function admissionContext(values: AdmissionValues): Record<string, unknown> {
  return {
    object: convert(values.object),
    oldObject: convert(values.oldObject),
    request: convert(values.request),
    namespaceObject: convert(values.namespaceObject),
    authorizer: authorizerValue(values.decide, values.requested),
    variables: new Map<string, unknown>(),
  };
}

/** The same with what a binding adds: parameters, and variables that are computed when they are first asked for. */
export function withBinding(
  context: Record<string, unknown>,
  params: unknown,
  variables: ReadonlyMap<string, Program | Error>,
): Record<string, unknown> {
  const values = new Map<string, unknown>();
  const bound = { ...context, params: convert(params), variables: values };
  const known = new Map<string, unknown>();
  values.get = name => {
    if (known.has(name)) return known.get(name);
    const program = variables.get(name);
    if (program === undefined) return undefined;
    try {
      if (program instanceof Error) throw program;
      const value = program.evaluate(bound);
      known.set(name, value);
      return value;
    } catch (cause) {
      throw new Error(`composited variable ${JSON.stringify(name)} fails to evaluate: ${messageOf(cause)}`, { cause });
    }
  };
  return bound;
}

/** Lets the expressions that follow see another `object`. */
export function replaceObject(context: Record<string, unknown>, object: unknown): void {
  context['object'] = convert(object);
}

function convert(value: unknown): unknown {
  return toCel(value, undefined, { duration: text => text });
}

/** What an expression gave, as JSON. @throws Error for what JSON cannot say */
export function toJson(value: unknown): unknown {
  switch (typeof value) {
    case 'bigint':
      return Number(value);
    case 'object':
      break;
    default:
      return value;
  }
  if (value === null) return null;
  if (value instanceof Optional) return value.hasValue() ? toJson(value.value()) : undefined;
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  if (value instanceof Date) return value.toISOString();
  if (Array.isArray(value) || value instanceof Set) return [...(value as Iterable<unknown>)].map(toJson);
  const entries: [unknown, unknown][] = value instanceof Map ? [...value] : Object.entries(value);
  const prototype: unknown = Object.getPrototypeOf(value);
  if (!(value instanceof Map) && prototype !== Object.prototype && prototype !== null)
    throw new Error(`${value.constructor.name} cannot be a part of an object`);
  return Object.fromEntries(entries.map(([key, each]) => [String(key), toJson(each)]));
}

/** What went wrong, without the excerpt of the source that the engine adds. */
export function messageOf(error: unknown): string {
  const { summary, message } = error as { summary?: string; message: string };
  return (summary ?? message.split('\n', 1)[0]!).replace(/^No such key/, 'no such key');
}
