import { eventually } from '@naru/testing';
import { ask, must, until, type Loose } from '../rest';

// Upstream's tests of the type checking of ValidatingAdmissionPolicies: by the schemas that the server publishes.
const policies = '/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies';
const definitions = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';

const policy = (name: string, rule: object, expressions: string[]): object => ({
  metadata: { name },
  spec: {
    matchConstraints: { resourceRules: [{ operations: ['CREATE', 'UPDATE'], apiVersions: ['v1'], ...rule }] },
    validations: expressions.map(expression => ({ expression })),
  },
});

/** The warnings in the status, when there is one. */
async function warningsOf(name: string): Promise<Loose[]> {
  const { status } = await until(`${policies}/${name}`, ({ status: found, metadata }) => {
    expect(found?.typeChecking).toBeDefined();
    expect(found.observedGeneration).toBe(metadata.generation);
  });
  return (status.typeChecking.expressionWarnings ?? []) as Loose[];
}

const deployments = { apiGroups: ['apps'], resources: ['deployments'] };

test('a policy about deployments is warned of what a deployment has not', async () => {
  const names = ['e2e-types-right', 'e2e-types-wrong'];
  try {
    await must(
      'POST',
      policies,
      policy('e2e-types-right', deployments, ['object.spec.replicas > 1', 'has(object.spec.template)']),
    );
    const wrong = [
      "object.spec.replicas > '1'",
      'object.foo == 1',
      'object.spec.template.spec.containers.all(c, c.image != "")',
    ];
    await must('POST', policies, policy('e2e-types-wrong', deployments, wrong));
    expect(await warningsOf('e2e-types-right')).toEqual([]);
    const prefix = 'apps/v1, Kind=Deployment: ERROR: <input>:1:';
    expect(await warningsOf('e2e-types-wrong')).toEqual([
      {
        fieldRef: 'spec.validations[0].expression',
        warning: expect.stringContaining(
          `${prefix}22: found no matching overload for '_>_' applied to '(int, string)'`,
        ) as string,
      },
      {
        fieldRef: 'spec.validations[1].expression',
        warning: expect.stringContaining(`${prefix}7: undefined field 'foo'`) as string,
      },
    ]);
  } finally {
    for (const name of names) await ask('DELETE', `${policies}/${name}`);
  }
});

test('a policy about a custom kind is warned by the schema of its definition', async () => {
  const group = 'types.example.com';
  const openAPIV3Schema = {
    type: 'object',
    properties: { spec: { type: 'object', properties: { replicas: { type: 'integer' } } } },
  };
  const names = { plural: 'typed', singular: 'typed', kind: 'Typed' };
  const version = { name: 'v1', served: true, storage: true, schema: { openAPIV3Schema } };
  try {
    await must('POST', definitions, {
      metadata: { name: `typed.${group}` },
      spec: { group, scope: 'Namespaced', names, versions: [version] },
    });
    await eventually(
      async () => {
        const document = await must('GET', `/openapi/v3/apis/${group}/v1`);
        expect(Object.keys((document['components']?.schemas ?? {}) as object)).toContain('com.example.types.v1.Typed');
      },
      90_000,
      200,
    );
    const rule = { apiGroups: [group], resources: ['typed'] };
    await must(
      'POST',
      policies,
      policy('e2e-types-custom', rule, ['object.spec.replicas > 1', "object.spec.replicas > '1'"]),
    );
    expect(await warningsOf('e2e-types-custom')).toEqual([
      {
        fieldRef: 'spec.validations[1].expression',
        warning: expect.stringContaining(
          `${group}/v1, Kind=Typed: ERROR: <input>:1:22: found no matching overload`,
        ) as string,
      },
    ]);
  } finally {
    await ask('DELETE', `${policies}/e2e-types-custom`);
    await ask('DELETE', `${definitions}/typed.${group}`);
  }
});
