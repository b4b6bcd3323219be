import { validatingAdmissionPolicies } from '@naru/api';
import { StatusError } from '@naru/foundation';
import { eventually } from '@naru/testing';
import { startControllers } from '../../fixtures';
import { convergenceSuite } from '../../simulation';
import { validatingAdmissionPolicyStatusController } from './validating-admission-policy-status-controller';

const policy = { metadata: { name: 'p', generation: 3 }, spec: { validations: [{ expression: 'true' }] } };

test('the status of a policy says which generation was seen', async () => {
  const cluster = await startControllers([validatingAdmissionPolicyStatusController]);
  cluster.api.seed(validatingAdmissionPolicies, policy);
  await eventually(async () => {
    const { metadata, status } = await cluster.api.get(validatingAdmissionPolicies, { name: 'p' });
    expect(metadata.generation).toBeGreaterThan(0);
    expect(status?.observedGeneration).toBe(metadata.generation);
  });
  await cluster.stop();
});

const string = { type: 'string' };
const gvk = (kind: string) => ({ 'x-kubernetes-group-version-kind': [{ group: 'apps', version: 'v1', kind }] });
const served: Record<string, unknown> = {
  '/apis/apps/v1': {
    resources: [
      { name: 'deployments', kind: 'Deployment' },
      { name: 'deployments/status', kind: 'Deployment' },
      { name: 'replicasets', kind: 'ReplicaSet' },
    ],
  },
  '/openapi/v3/apis/apps/v1': {
    components: {
      schemas: {
        Spec: { type: 'object', properties: { replicas: { type: 'integer' }, paused: { type: 'boolean' } } },
        Deployment: {
          ...gvk('Deployment'),
          type: 'object',
          properties: { spec: { allOf: [{ $ref: '#/components/schemas/Spec' }] } },
        },
        ReplicaSet: { ...gvk('ReplicaSet'), type: 'object', properties: { kind: string } },
      },
    },
  },
  '/openapi/v3/apis/example.com/v1': {
    components: {
      schemas: {
        Limit: {
          'x-kubernetes-group-version-kind': [{ group: 'example.com', version: 'v1', kind: 'Limit' }],
          type: 'object',
          properties: { max: { type: 'integer' } },
        },
      },
    },
  },
};

test('the status of a policy tells of expressions that cannot be right for its kinds', async () => {
  const rest = (path: string): unknown => {
    if (path in served) return served[path];
    throw new StatusError('NotFound', path);
  };
  const cluster = await startControllers([validatingAdmissionPolicyStatusController], { rest });
  const rule = (resources: string[], apiVersions = ['v1']) => ({
    operations: ['*'],
    apiGroups: ['apps'],
    apiVersions,
    resources,
  });
  cluster.api.seed(validatingAdmissionPolicies, {
    metadata: { name: 'p', generation: 1 },
    spec: {
      paramKind: { apiVersion: 'example.com/v1', kind: 'Limit' },
      matchConstraints: {
        resourceRules: [rule(['replicasets', 'deployments', 'deployments/status']), rule(['*'], ['*']), rule(['gone'])],
      },
      variables: [{ name: 'replicas', expression: 'object.spec.replicas' }],
      validations: [
        { expression: 'object.spec.replicas <= params.max', messageExpression: '"at most " + params.max' },
        { expression: 'variables.replicas > "1"' },
        { expression: 'object != null' },
      ],
    },
  });
  const { status } = await eventually(async () => {
    const found = await cluster.api.get(validatingAdmissionPolicies, { name: 'p' });
    expect(found.status?.typeChecking).toBeDefined();
    return found;
  });
  const dots = (count: number): string => '.'.repeat(count);
  expect(status?.typeChecking?.expressionWarnings).toEqual([
    {
      fieldRef: 'spec.validations[0].expression',
      warning: `apps/v1, Kind=ReplicaSet: ERROR: <input>:1:7: undefined field 'spec'\n | object.spec.replicas <= params.max\n | ${dots(6)}^\n`,
    },
    {
      fieldRef: 'spec.validations[0].messageExpression',
      warning: ['Deployment', 'ReplicaSet']
        .map(
          kind =>
            `apps/v1, Kind=${kind}: ERROR: <input>:1:12: found no matching overload for '_+_' applied to '(string, int)'\n | "at most " + params.max\n | ${dots(11)}^\n`,
        )
        .join('\n'),
    },
    {
      fieldRef: 'spec.validations[1].expression',
      warning: `apps/v1, Kind=Deployment: ERROR: <input>:1:20: found no matching overload for '_>_' applied to '(int, string)'\n | variables.replicas > "1"\n | ${dots(19)}^\n`,
    },
  ]);
  await cluster.stop();
});

convergenceSuite([validatingAdmissionPolicyStatusController], {
  objects: api => void api.seed(validatingAdmissionPolicies, policy),
  async expectEnd(api) {
    const { metadata, status } = await api.get(validatingAdmissionPolicies, { name: 'p' });
    expect(status?.observedGeneration).toBe(metadata.generation);
  },
});
