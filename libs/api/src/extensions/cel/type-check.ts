import type { ASTNode, Environment, ParseError } from '@marcbachmann/cel-js';
import { registerAuthorizer } from './authorizer';
import { childrenOf } from './cost';
import { kubernetesEnvironment } from './library';
import { declareObject, SchemaTypes, type OpenApiSchema } from './schema-types';

/** A kind with the document of OpenAPI v3 that its schema is in. */
export interface TypedKind {
  kind: string;
  schema: OpenApiSchema;
  components: Readonly<Record<string, OpenApiSchema>>;
}

export interface TypedScope {
  object: TypedKind;
  params?: TypedKind | undefined;
  variables: readonly { name: string; expression: string }[];
}

type Problem = ParseError & { node?: ASTNode };

/** The attributes of a request that expressions may ask for, and their types. */
const gvk = { group: 'string', version: 'string', kind: 'string' };
const gvr = { group: 'string', version: 'string', resource: 'string' };
const userInfo = { username: 'string', uid: 'string', groups: 'list<string>', extra: 'map<string, list<string>>' };
const request = {
  kind: 'kubernetes.GroupVersionKind',
  resource: 'kubernetes.GroupVersionResource',
  subResource: 'string',
  requestKind: 'kubernetes.GroupVersionKind',
  requestResource: 'kubernetes.GroupVersionResource',
  requestSubResource: 'string',
  name: 'string',
  namespace: 'string',
  operation: 'string',
  userInfo: 'kubernetes.UserInfo',
  dryRun: 'bool',
  options: 'dyn',
};
const namespaceMetadata = {
  name: 'string',
  generateName: 'string',
  __namespace__: 'string',
  labels: 'map<string, string>',
  annotations: 'map<string, string>',
  UID: 'string',
  creationTimestamp: 'google.protobuf.Timestamp',
  deletionGracePeriodSeconds: 'int',
  deletionTimestamp: 'google.protobuf.Timestamp',
  generation: 'int',
  resourceVersion: 'string',
  finalizers: 'list<string>',
};

/**
 * Tells what is wrong with expressions of a ValidatingAdmissionPolicy when its objects are of a kind. The compiler ends
 * at the first mistake of an expression. Source: apiserver policy/validating/typechecking.
 */
export class TypeChecker {
  private readonly environment: Environment;

  constructor({ object, params, variables }: TypedScope) {
    let environment = baseEnvironment();
    const objectType = declareKind(environment, object, 'object');
    environment.registerVariable('object', objectType).registerVariable('oldObject', objectType);
    if (params) environment.registerVariable('params', declareKind(environment, params, 'params'));
    const fields: Record<string, string> = {};
    for (const [i, { name, expression }] of variables.entries()) {
      const before = withVariables(environment, i, fields);
      const { valid, type } = before.check(expression);
      fields[name] = valid && type ? type : 'dyn';
    }
    environment = withVariables(environment, variables.length, fields);
    this.environment = environment;
  }

  /** What cel-go's compiler would print, with the line it is about. Undefined: nothing is wrong. */
  problemOf(expression: string): string | undefined {
    const { valid, error } = this.environment.check(expression);
    if (!valid) return told(expression, error as Problem);
    return this.missingField(expression);
  }

  /** The operand of has() is not checked by the engine. */
  private missingField(expression: string): string | undefined {
    let found: string | undefined;
    const walk = (node: ASTNode): void => {
      if (found !== undefined) return;
      if (node.op === 'call' && node.args[0] === 'has') {
        const [operand] = childrenOf(node);
        const { error } = operand ? this.environment.check(expression.slice(operand.start, operand.end)) : {};
        // A macro's mistakes are where its bracket opens.
        if ((error as Problem | undefined)?.code === 'no_such_key')
          found = told(expression, error as Problem, expression.indexOf('(', node.start));
      }
      childrenOf(node).forEach(walk);
    };
    walk(this.environment.parse(expression).ast);
    return found;
  }
}

function baseEnvironment(): Environment {
  const environment = registerAuthorizer(kubernetesEnvironment());
  declareObject(environment, 'kubernetes.GroupVersionKind', gvk);
  declareObject(environment, 'kubernetes.GroupVersionResource', gvr);
  declareObject(environment, 'kubernetes.UserInfo', userInfo);
  declareObject(environment, 'kubernetes.AdmissionRequest', request);
  declareObject(environment, 'kubernetes.NamespaceMetadata', namespaceMetadata);
  declareObject(environment, 'kubernetes.NamespaceSpec', { finalizers: 'list<string>' });
  declareObject(environment, 'kubernetes.NamespaceStatus', { phase: 'string' });
  declareObject(environment, 'kubernetes.Namespace', {
    metadata: 'kubernetes.NamespaceMetadata',
    spec: 'kubernetes.NamespaceSpec',
    status: 'kubernetes.NamespaceStatus',
  });
  return environment
    .registerVariable('request', 'kubernetes.AdmissionRequest')
    .registerVariable('namespaceObject', 'kubernetes.Namespace')
    .registerVariable('authorizer', 'kubernetes.authorization.Authorizer');
}

function declareKind(environment: Environment, { kind, schema, components }: TypedKind, place: string): string {
  return new SchemaTypes(environment, components).typeOf(schema, `${place}.${kind}`) ?? 'dyn';
}

/** `variables` with what has been declared of it so far. */
function withVariables(environment: Environment, count: number, fields: Record<string, string>): Environment {
  const type = `kubernetes.variables${count}`;
  const next = environment.clone();
  declareObject(next, type, { ...fields });
  return next.registerVariable('variables', type);
}

const shortNames: Record<string, string> = {
  'google.protobuf.Timestamp': 'timestamp',
  'google.protobuf.Duration': 'duration',
  null: 'null_type',
};

function typeNames(text: string): string {
  return text.replace(/[\w.]+/g, name => shortNames[name] ?? name);
}

/** The words of cel-go's compiler. */
function wordsOf({ summary = '', message }: Problem): string {
  const text = summary || message.split('\n', 1)[0]!;
  let match = /^No such key: (.*)$/.exec(text);
  if (match) return `undefined field '${match[1]}'`;
  match = /^Unknown variable: (.*)$/.exec(text);
  if (match) return `undeclared reference to '${match[1]}' (in container '')`;
  match = /^no such overload: (.+) (\S+) (.+)$/.exec(text);
  if (match)
    return `found no matching overload for '_${match[2]}_' applied to '(${typeNames(`${match[1]}, ${match[3]}`)})'`;
  match = /^found no matching overload for '(?:(.+)\.)?(\w+)\((.*)\)'$/.exec(text);
  if (match) {
    const target = match[1] === undefined ? '' : `${typeNames(match[1])}.`;
    return `found no matching overload for '${match[2]}' applied to '${target}(${typeNames(match[3] ?? '')})'`;
  }
  match = /^Unexpected token:? ?(.*)$/.exec(text);
  return match ? `Syntax error: mismatched input '${match[1] === 'EOF' ? '<EOF>' : match[1]}'` : text;
}

/** Where cel-go says that a mistake is: at the dot of a field, the operator, the opening bracket of a call. */
function positionOf(expression: string, { node, range, code }: Problem): number {
  const start = range?.start ?? 0;
  if (node?.op === 'call') return expression.indexOf('(', node.start);
  if (code === 'no_such_key' && expression[start - 1] === '.') return start - 1;
  if (!node) return start;
  const [left, right] = childrenOf(node);
  if (node.op === 'rcall' && left) return expression.indexOf('(', left.end);
  if (left && right) {
    const operator = expression.indexOf(node.op, left.end);
    if (operator >= 0 && operator < right.start) return operator;
  }
  return start;
}

function told(expression: string, problem: Problem, at = positionOf(expression, problem)): string {
  const lineStart = expression.lastIndexOf('\n', at - 1) + 1;
  const line = expression.slice(0, at).split('\n').length;
  const text = expression.slice(lineStart).split('\n', 1)[0]!;
  const column = at - lineStart;
  return `ERROR: <input>:${line}:${column + 1}: ${wordsOf(problem)}\n | ${text}\n | ${'.'.repeat(column)}^`;
}
