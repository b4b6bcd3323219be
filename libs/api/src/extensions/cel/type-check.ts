import type { Environment } from '@marcbachmann/cel-js';
import { registerAuthorizer } from './authorizer';
import { findProblem } from './compiler-problem';
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
    return findProblem(this.environment, expression)?.told;
  }
}

let base: Environment | undefined;

function baseEnvironment(): Environment {
  return (base ??= declareRequest()).clone();
}

function declareRequest(): Environment {
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
