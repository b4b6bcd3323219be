import { startTestServer, type Reply, type TestServer } from '../../testing/test-server';

let api: TestServer;
const group = '/apis/admissionregistration.k8s.io/v1';
beforeAll(async () => {
  api = await startTestServer();
});
afterAll(() => api.close());

const written: string[] = [];
afterEach(async () => {
  for (const url of written.splice(0)) await api.call('DELETE', url);
});

async function write(resource: string, name: string, spec: object): Promise<void> {
  const reply = await api.call('POST', `${group}/${resource}`, { metadata: { name }, spec });
  expect(reply.json['message']).toBeUndefined();
  written.push(`${group}/${resource}/${name}`);
}

const apply = (expression: string): object => ({ patchType: 'ApplyConfiguration', applyConfiguration: { expression } });
const patch = (expression: string): object => ({ patchType: 'JSONPatch', jsonPatch: { expression } });

/** Writes a bound policy about the creation of config maps and deployments. */
async function mutate(name: string, mutations: object[], more: object = {}, binding: object = {}): Promise<void> {
  const matchConstraints = {
    resourceRules: [
      { apiGroups: ['', 'apps'], apiVersions: ['*'], operations: ['CREATE'], resources: ['configmaps', 'deployments'] },
    ],
  };
  await write('mutatingadmissionpolicies', name, { matchConstraints, reinvocationPolicy: 'Never', mutations, ...more });
  await write('mutatingadmissionpolicybindings', name, { policyName: name, ...binding });
}

const create = (name: string, data: object = {}): Promise<Reply> =>
  api.call('POST', '/api/v1/namespaces/default/configmaps', { metadata: { name, labels: { own: 'yes' } }, data });

describe('a mutating admission policy', () => {
  test('merges what it applies into the object', async () => {
    await mutate('p', [
      apply('Object{metadata: Object.metadata{labels: {"added": object.metadata.name}}}'),
      apply('Object{data: {"seen": object.metadata.labels["added"]}}'),
    ]);
    const { code, json } = await create('merged', { a: '1' });
    expect([code, json['metadata'].labels, json['data']]).toEqual([
      201,
      { own: 'yes', added: 'merged' },
      { a: '1', seen: 'merged' },
    ]);
  });

  test('merges lists by their keys, and what it adds is defaulted', async () => {
    const sidecar = 'Object.spec.template.spec.initContainers{name: "proxy", image: "proxy", restartPolicy: "Always"}';
    await mutate('p', [
      apply(`Object{spec: Object.spec{template: Object.spec.template{spec: Object.spec.template.spec{
        initContainers: [${sidecar}],
        containers: object.spec.template.spec.containers.map(c,
          Object.spec.template.spec.containers{name: c.name, imagePullPolicy: "Always"})
      }}}}`),
    ]);
    const template = { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'c', image: 'i:1' }] } };
    const deployment = { metadata: { name: 'd' }, spec: { selector: { matchLabels: { a: 'b' } }, template } };
    const { json } = await api.call('POST', '/apis/apps/v1/namespaces/default/deployments', deployment);
    const spec = json['spec'].template.spec;
    expect(spec.containers).toMatchObject([{ name: 'c', image: 'i:1', imagePullPolicy: 'Always' }]);
    expect(spec.initContainers).toMatchObject([{ name: 'proxy', terminationMessagePath: '/dev/termination-log' }]);
  });

  test('patches, with variables and parameters', async () => {
    await create('params', { team: 'a/b' });
    await mutate(
      'p',
      [
        patch(`[
          JSONPatch{op: "test", path: "/metadata/labels/own", value: "yes"},
          JSONPatch{op: "add", path: "/metadata/labels/" + jsonpatch.escapeKey("example.com/team"), value: variables.team}
        ]`),
      ],
      {
        paramKind: { apiVersion: 'v1', kind: 'ConfigMap' },
        variables: [{ name: 'team', expression: 'params.data.team.replace("/", "-")' }],
        matchConditions: [{ name: 'not-params', expression: 'object.metadata.name != "params"' }],
      },
      { paramRef: { name: 'params', namespace: 'default', parameterNotFoundAction: 'Deny' } },
    );
    expect((await create('patched')).json['metadata'].labels).toEqual({ own: 'yes', 'example.com/team': 'a-b' });
  });

  test('that wants it is asked again when a later one changed the object', async () => {
    const count = 'Object{metadata: Object.metadata{annotations: {"keys": string(object.data.size())}}}';
    await mutate('a-count', [apply(count)], { reinvocationPolicy: 'IfNeeded' });
    await mutate('b-add', [apply('Object{data: {"late": "yes"}}')]);
    expect((await create('again', { a: '' })).json['metadata'].annotations).toEqual({ keys: '2' });
  });

  test('that fails denies the request unless it fails open', async () => {
    await mutate('p', [apply('Object{data: {"x": object.data.missing}}')]);
    const { code, json } = await create('failing', { a: '' });
    expect([code, json['message']]).toEqual([
      422,
      `configmaps "failing" is forbidden: MutatingAdmissionPolicy 'p' with binding 'p' denied request: no such key: missing`,
    ]);
    for (const url of written.splice(0)) await api.call('DELETE', url);
    await mutate('p', [apply('Object{data: {"x": object.data.missing}}')], { failurePolicy: 'Ignore' });
    expect((await create('failing', { a: '' })).code).toBe(201);
  });

  test('whose expression does not compile is refused', async () => {
    const spec = { mutations: [apply('Object{spec: nothing}')], reinvocationPolicy: 'Never' };
    const rules = [{ apiGroups: [''], apiVersions: ['*'], operations: ['CREATE'], resources: ['configmaps'] }];
    const body = { metadata: { name: 'x' }, spec: { ...spec, matchConstraints: { resourceRules: rules } } };
    const { json } = await api.call('POST', `${group}/mutatingadmissionpolicies`, body);
    expect(json['message']).toContain('spec.mutations[0].applyConfiguration.expression: Invalid value');
    expect(json['message']).toContain("undeclared reference to 'nothing'");
  });
});
