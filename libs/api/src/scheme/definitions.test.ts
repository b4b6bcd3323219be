import { decodeObject } from '../decode/decode-object';
import { deployments, pods } from '../resource';
import { toTable } from '../table/to-table';
import type { Deployment, KubeObject, Pod } from '../types';
import { invalidObject } from '../validation/field-error';
import type { AnyDefinition } from './definition';
import { definitions } from './definitions';
import { Scheme } from './scheme';

const scheme = new Scheme(definitions);
const podDefinition = scheme.byResource('', 'v1', 'pods') as AnyDefinition;
const deploymentDefinition = scheme.byResource('apps', 'v1', 'deployments') as AnyDefinition;

/** What the api-server does with a create, up to the store. */
function create<T extends KubeObject>(definition: AnyDefinition, body: unknown): { object: T; errors: string[] } {
  const { object } = decodeObject(JSON.stringify(body), definition, { fieldValidation: 'Strict' });
  object.metadata ??= {};
  if (definition.type.namespaced) object.metadata.namespace ??= 'default';
  definition.strategy.applyDefaults(object);
  definition.strategy.prepareForCreate(object);
  const errors = definition.strategy.validateCreate(object);
  return {
    object: object as T,
    errors: errors.length === 0 ? [] : [invalidObject(definition.type, object.metadata.name ?? '', errors).message],
  };
}

const pod = { metadata: { name: 'p' }, spec: { containers: [{ name: 'c', image: 'nginx' }] } };
const deployment = {
  metadata: { name: 'web' },
  spec: {
    selector: { matchLabels: { app: 'web' } },
    template: { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'c', image: 'nginx:1' }] } },
  },
};

test('every kind has a row that can be found by resource and by kind', () => {
  for (const definition of definitions) {
    const { group, version, resource, kind } = definition.type;
    expect(scheme.byResource(group, version, resource)).toBe(definition);
    expect(scheme.byKind(group, version, kind)).toBe(definition);
  }
  expect(scheme.byApiVersionAndKind('apps/v1', 'Deployment')).toBe(deploymentDefinition);
  expect(scheme.byResource('apps', 'v1', 'pods')).toBeUndefined();
});

test('every kind makes a table of an object that has only a name', () => {
  for (const definition of definitions) {
    const table = toTable(definition, [{ metadata: { name: 'x' } }], { nowMs: 0 });
    expect(table.rows[0]?.cells).toHaveLength(table.columnDefinitions.length);
    expect(table.rows[0]?.cells).toContain('x');
    expect(table.rows[0]?.cells).not.toContain(undefined);
    expect(definition.selectableFields({ metadata: { name: 'x' } })).toMatchObject({ 'metadata.name': 'x' });
  }
});

test('every kind survives the checks of an object without anything', () => {
  for (const definition of definitions) {
    const object = decodeObject('{}', definition).object;
    definition.strategy.applyDefaults(object);
    definition.strategy.prepareForCreate(object);
    const errors = definition.strategy.validateCreate(object);
    expect(errors[0]).toMatchObject({ type: 'FieldValueRequired', field: 'metadata.name' });
    definition.strategy.validateUpdate(object, object);
    definition.strategy.prepareForStatusUpdate(object, structuredClone(object));
  }
});

test('a pod gets the defaults of upstream', () => {
  const { object, errors } = create<Pod>(podDefinition, pod);
  expect(errors).toEqual([]);
  expect(object).toEqual({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p', namespace: 'default', generation: 1 },
    spec: {
      containers: [
        {
          name: 'c',
          image: 'nginx',
          imagePullPolicy: 'Always',
          resources: {},
          terminationMessagePath: '/dev/termination-log',
          terminationMessagePolicy: 'File',
        },
      ],
      dnsPolicy: 'ClusterFirst',
      enableServiceLinks: true,
      restartPolicy: 'Always',
      schedulerName: 'default-scheduler',
      securityContext: {},
      terminationGracePeriodSeconds: 30,
    },
    status: { phase: 'Pending', qosClass: 'BestEffort' },
  });
});

test('a deployment gets the defaults of upstream', () => {
  const { object, errors } = create<Deployment>(deploymentDefinition, deployment);
  expect(errors).toEqual([]);
  expect(object.status).toEqual({});
  expect(object.spec).toMatchObject({
    replicas: 1,
    revisionHistoryLimit: 10,
    progressDeadlineSeconds: 600,
    strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: '25%', maxUnavailable: '25%' } },
    template: { spec: { containers: [{ imagePullPolicy: 'IfNotPresent' }] } },
  });
  expect(object.spec?.template.spec).not.toHaveProperty('enableServiceLinks');
});

test('a wrong deployment is answered in the words of upstream', () => {
  const { errors } = create(deploymentDefinition, { ...deployment, spec: { ...deployment.spec, replicas: -1 } });
  expect(errors).toEqual([
    'Deployment.apps "web" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal to 0',
  ]);
});

test('several faults are listed together', () => {
  const { errors } = create(podDefinition, {
    metadata: { name: 'A_b' },
    spec: { containers: [{ name: 'c' }, { name: 'c', image: 'x' }] },
  });
  expect(errors[0]).toMatch(
    /^Pod "A_b" is invalid: \[metadata.name: Invalid value: "A_b": a lowercase RFC 1123 subdomain must/,
  );
  expect(errors[0]).toContain('spec.containers[0].image: Required value');
  expect(errors[0]).toContain('spec.containers[1].name: Duplicate value: "c"');
});

test.each([
  [
    { restartPolicy: 'Sometimes' },
    'spec.restartPolicy: Unsupported value: "Sometimes": supported values: "Always", "OnFailure", "Never"',
  ],
  [{ containers: [] }, 'spec.containers: Required value'],
  [
    { containers: [{ name: 'c', image: 'x', volumeMounts: [{ name: 'v', mountPath: '/v' }] }] },
    'spec.containers[0].volumeMounts[0].name: Not found: "v"',
  ],
  [
    { containers: [{ name: 'c', image: 'x', ports: [{ containerPort: 70000 }] }] },
    'spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive',
  ],
  [
    {
      containers: [{ name: 'c', image: 'x', resources: { requests: { cpu: '2' }, limits: { cpu: '1' } } }],
    },
    'spec.containers[0].resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1',
  ],
  [
    { containers: [{ name: 'c', image: 'x', livenessProbe: {} }] },
    'spec.containers[0].livenessProbe: Required value: must specify a handler type',
  ],
  [
    { containers: [{ name: 'c', image: 'x' }], tolerations: [{ key: 'a', operator: 'Has' }] },
    'spec.tolerations[0].operator: Unsupported value: "Has"',
  ],
])('a pod spec like %j is refused', (spec, message) => {
  const { errors } = create(podDefinition, {
    metadata: { name: 'p' },
    spec: { containers: [{ name: 'c', image: 'x' }], ...spec },
  });
  expect(errors[0]).toContain(message);
});

describe('updates', () => {
  const strategy = podDefinition.strategy;
  const update = (change: (next: Pod) => void): { next: Pod; errors: string[] } => {
    const old = create<Pod>(podDefinition, pod).object;
    const next = structuredClone(old);
    change(next);
    strategy.applyDefaults(next);
    strategy.prepareForUpdate(next, old);
    return { next, errors: strategy.validateUpdate(next, old).map(e => `${e.field}: ${e.detail}`) };
  };

  test('of a pod may change its image, which raises the generation', () => {
    const { next, errors } = update(p => (p.spec!.containers[0]!.image = 'other'));
    expect(errors).toEqual([]);
    expect(next.metadata?.generation).toBe(2);
  });

  test('of a pod may not change other fields of the spec', () => {
    const { errors } = update(p => (p.spec!.nodeName = 'n'));
    expect(errors[0]).toMatch(/^spec: pod updates may not change fields other than .* changed: spec.nodeName$/s);
  });

  test('do not touch the status, and keep what the server set', () => {
    const { next } = update(p => {
      p.status = { phase: 'Running' };
      p.metadata!.labels = { a: 'b' };
      delete p.metadata!.generation;
    });
    expect(next.status?.phase).toBe('Pending');
    expect(next.metadata).toMatchObject({ generation: 1, labels: { a: 'b' } });
  });

  test('of the name are refused', () => {
    expect(update(p => (p.metadata!.name = 'q')).errors).toEqual(['metadata.name: field is immutable']);
  });

  test('of the status keep the spec', () => {
    const old = create<Pod>(podDefinition, pod).object;
    const next: Pod = { metadata: { ...old.metadata }, spec: { containers: [] }, status: { phase: 'Running' } };
    strategy.prepareForStatusUpdate(next, old);
    expect(next.spec).toEqual(old.spec);
    expect(next.status).toEqual({ phase: 'Running', qosClass: 'BestEffort' });
  });
});

test('types name their rows', () => {
  expect(podDefinition.type).toBe(pods);
  expect(deploymentDefinition.type).toBe(deployments);
});
