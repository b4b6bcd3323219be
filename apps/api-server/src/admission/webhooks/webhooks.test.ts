import { eventually, startTestServer, type Reply, type TestServer } from '../../testing/test-server';
import { startWebhookServer, type WebhookServer } from '../../testing/webhook-server';
import { widgetDefinition } from '../../testing/widget-definition';

let api: TestServer;
let webhook: WebhookServer;
const group = '/apis/admissionregistration.k8s.io/v1';
const configMaps = '/api/v1/namespaces/default/configmaps';
const kinds = { Mutating: 'mutatingwebhookconfigurations', Validating: 'validatingwebhookconfigurations' };

beforeAll(async () => {
  api = await startTestServer();
  webhook = await startWebhookServer();
  await api.call('POST', '/api/v1/namespaces/default/serviceaccounts', { metadata: { name: 'default' } });
});
afterAll(async () => {
  await api.close();
  await webhook.close();
});

const configured: string[] = [];
afterEach(async () => {
  for (const url of configured.splice(0)) await api.call('DELETE', url);
  webhook.seen.length = 0;
  webhook.answers.clear();
});

const rule = (resources: string[], operations = ['CREATE', 'UPDATE'], apiGroups = ['']): object => ({
  operations,
  apiGroups,
  apiVersions: ['*'],
  resources,
});

function hook(path: string, more: object = {}): object {
  return {
    name: `${path.slice(1)}.example.com`,
    clientConfig: webhook.clientConfig(path),
    rules: [rule(['configmaps'])],
    sideEffects: 'None',
    admissionReviewVersions: ['v1'],
    ...more,
  };
}

async function register(kind: keyof typeof kinds, name: string, ...webhooks: object[]): Promise<void> {
  const url = `${group}/${kinds[kind]}`;
  const body = {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: `${kind}WebhookConfiguration`,
    metadata: { name },
  };
  expect((await api.call('POST', url, { ...body, webhooks })).json['message']).toBeUndefined();
  configured.push(`${url}/${name}`);
}

const configMap = (name: string, data: object = {}, labels: object = {}): object => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, labels },
  data,
});
const create = (object: object, query = ''): Promise<Reply> => api.call('POST', `${configMaps}${query}`, object);
const add = (path: string, value: unknown): object => ({ op: 'add', path, value });

describe('a validating webhook', () => {
  test('sees the whole request and lets it pass or not', async () => {
    webhook.answers.set('/deny', ({ object }) =>
      object.data?.bad
        ? { allowed: false, status: { message: 'the configmap contains unwanted key and value', code: 403 } }
        : { allowed: true, warnings: ['mind the data'] },
    );
    await register('Validating', 'deny', hook('/deny'));
    const allowed = await create(configMap('good'), '?fieldManager=me');
    expect([allowed.code, allowed.headers['warning']]).toEqual([201, '299 - "mind the data"']);
    expect(webhook.seen[0]).toMatchObject({
      path: '/deny?timeout=10s',
      request: {
        kind: { group: '', version: 'v1', kind: 'ConfigMap' },
        resource: { group: '', version: 'v1', resource: 'configmaps' },
        requestKind: { group: '', version: 'v1', kind: 'ConfigMap' },
        name: 'good',
        namespace: 'default',
        operation: 'CREATE',
        userInfo: { username: 'admin', groups: ['system:masters', 'system:authenticated'] },
        object: { metadata: { name: 'good', namespace: 'default', uid: expect.any(String) } },
        oldObject: null,
        dryRun: false,
        options: { kind: 'CreateOptions', apiVersion: 'meta.k8s.io/v1', fieldManager: 'me' },
      },
    });
    const denied = await create(configMap('bad', { bad: 'x' }));
    expect([denied.code, denied.json['message']]).toEqual([
      403,
      'admission webhook "deny.example.com" denied the request: the configmap contains unwanted key and value',
    ]);
    const headers = { 'content-type': 'application/merge-patch+json' };
    const patched = await api.call('PATCH', `${configMaps}/good`, { data: { bad: 'x' } }, { headers });
    expect(patched.json['message']).toContain('denied the request');
    expect(webhook.seen.at(-1)?.request).toMatchObject({
      operation: 'UPDATE',
      oldObject: { metadata: { name: 'good' } },
    });
  });

  test('may forbid deletion, and without a word of explanation', async () => {
    await create(configMap('kept'));
    webhook.answers.set('/keep', () => ({ allowed: false }));
    await register('Validating', 'keep', hook('/keep', { rules: [rule(['*'], ['DELETE'])] }));
    const { code, json } = await api.call('DELETE', `${configMaps}/kept`);
    expect([code, json['message']]).toEqual([
      400,
      'admission webhook "keep.example.com" denied the request without explanation',
    ]);
    expect(webhook.seen[0]?.request).toMatchObject({ object: null, oldObject: { metadata: { name: 'kept' } } });
  });

  test('that cannot be reached refuses or is ignored, as its failure policy says', async () => {
    const gone = { url: 'https://127.0.0.1:1/x', caBundle: webhook.caBundle };
    await register('Validating', 'closed', hook('/closed', { clientConfig: gone, failurePolicy: 'Fail' }));
    const refused = await create(configMap('a'));
    expect([refused.code, refused.json['reason'], refused.json['message']]).toEqual([
      500,
      'InternalError',
      'Internal error occurred: failed calling webhook "closed.example.com": failed to call webhook: Post "https://127.0.0.1:1/x?timeout=10s": dial tcp 127.0.0.1:1: connect: connection refused',
    ]);
    await api.call('DELETE', configured.pop()!);
    await register('Validating', 'open', hook('/open', { clientConfig: gone, failurePolicy: 'Ignore' }));
    expect((await create(configMap('a'))).code).toBe(201);
    await api.call('DELETE', configured.pop()!);
    const service = { service: { namespace: 'default', name: 'nobody', path: '/x' }, caBundle: webhook.caBundle };
    await register('Validating', 'service', hook('/service', { clientConfig: service }));
    expect((await create(configMap('b'))).json['message']).toContain(
      'Post "https://nobody.default.svc:443/x?timeout=10s": no endpoints available for service "nobody"',
    );
  });

  test('whose certificate is not of its authority is not asked', async () => {
    const other = await startWebhookServer();
    const clientConfig = { ...webhook.clientConfig('/x'), caBundle: other.caBundle };
    await register('Validating', 'stranger', hook('/stranger', { clientConfig }));
    expect((await create(configMap('c'))).json['message']).toContain('x509: certificate signed by unknown authority');
    await other.close();
  });

  test('is reached through its Service, and known by the name of that', async () => {
    const behind = await startWebhookServer(['hook.default.svc']);
    behind.answers.set('/service', () => ({ allowed: false, status: { message: 'through the service' } }));
    const spec = { type: 'ExternalName', externalName: 'localhost', ports: [{ port: behind.port }] };
    await api.call('POST', '/api/v1/namespaces/default/services', { metadata: { name: 'hook' }, spec });
    const service = { namespace: 'default', name: 'hook', path: '/service', port: behind.port };
    await register('Validating', 'service', hook('/service', { clientConfig: { service, caBundle: behind.caBundle } }));
    expect((await create(configMap('c'))).json['message']).toContain('through the service');
    await behind.close();
  });

  test('that takes too long is given up on after its timeout', async () => {
    webhook.answers.set('/slow', () => new Promise(() => undefined));
    await register('Validating', 'slow', hook('/slow', { timeoutSeconds: 1, failurePolicy: 'Fail' }));
    const { json } = await create(configMap('d'));
    expect(json['message']).toMatch(/slow\?timeout=1s": context deadline exceeded$/);
  });

  test('that would speak another protocol is a failure', async () => {
    webhook.answers.set('/switch', () => 101);
    await register('Validating', 'switch', hook('/switch', { failurePolicy: 'Fail' }));
    const { json } = await create(configMap('d'));
    expect(json['message']).toContain('unexpected answer 101 Switching Protocols');
  });

  test('is asked only about what its selectors and conditions say', async () => {
    webhook.answers.set('/select', () => ({ allowed: false }));
    const more = {
      objectSelector: { matchLabels: { watched: 'yes' } },
      namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'default' } },
      matchConditions: [{ name: 'not-skipped', expression: "object.metadata.name != 'skip-me'" }],
    };
    await register('Validating', 'select', hook('/select', more));
    const watched = { watched: 'yes' };
    expect((await create(configMap('s1', {}, watched))).code).toBe(400);
    expect((await create(configMap('s2'))).code).toBe(201);
    expect((await create(configMap('skip-me', {}, watched))).code).toBe(201);
    const elsewhere = await api.call('POST', '/api/v1/namespaces/kube-public/configmaps', configMap('s1', {}, watched));
    expect(elsewhere.code).toBe(201);
  });

  test('with a condition that fails refuses when it fails closed', async () => {
    const matchConditions = [{ name: 'broken', expression: 'object.data.missing == "x"' }];
    await register('Validating', 'broken', hook('/broken', { matchConditions, failurePolicy: 'Fail' }));
    const refused = await create(configMap('e'));
    expect([refused.code, refused.json['message']]).toMatchObject([403, expect.stringContaining('no such key')]);
    expect(webhook.seen).toHaveLength(0);
  });

  test('is told of a dry run', async () => {
    await register('Validating', 'pure', hook('/pure', { sideEffects: 'NoneOnDryRun' }));
    expect((await create(configMap('f'), '?dryRun=All')).code).toBe(201);
    expect(webhook.seen[0]?.request).toMatchObject({ dryRun: true, options: { dryRun: ['All'] } });
  });

  test('is never asked about webhook configurations', async () => {
    webhook.answers.set('/all', () => ({ allowed: false }));
    const everything = [rule(['*/*'], ['*'], ['*'])];
    await register('Validating', 'all', hook('/all', { rules: everything }));
    await register('Mutating', 'another', hook('/all', { rules: everything }));
    expect((await create(configMap('g'))).code).toBe(400);
    for (const url of configured.splice(0)) expect((await api.call('DELETE', url)).code).toBe(200);
    expect((await create(configMap('g'))).code).toBe(201);
  });

  test('sees subresources as the objects that they take', async () => {
    const pod = { metadata: { name: 'p' }, spec: { containers: [{ name: 'c', image: 'i' }] } };
    await api.call('POST', '/api/v1/namespaces/default/pods', pod);
    webhook.answers.set('/sub', () => ({ allowed: false, status: { message: 'no', code: 403 } }));
    const rules = [rule(['pods/eviction', 'pods/binding', 'pods/attach', 'deployments/scale'], ['*'], ['*'])];
    await register('Validating', 'sub', hook('/sub', { rules }));
    const at = '/api/v1/namespaces/default/pods/p';
    const binding = { target: { kind: 'Node', name: 'n' } };
    expect((await api.call('POST', `${at}/binding`, binding)).code).toBe(403);
    expect((await api.call('POST', `${at}/eviction`, { metadata: { name: 'p' } })).code).toBe(403);
    const template = { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'c', image: 'i' }] } };
    const deployment = { metadata: { name: 'd' }, spec: { selector: { matchLabels: { a: 'b' } }, template } };
    const deployments = '/apis/apps/v1/namespaces/default/deployments';
    expect((await api.call('POST', deployments, deployment)).code).toBe(201);
    const headers = { 'content-type': 'application/merge-patch+json' };
    const scaled = await api.call('PATCH', `${deployments}/d/scale`, { spec: { replicas: 3 } }, { headers });
    expect(scaled.json['message']).toBe('admission webhook "sub.example.com" denied the request: no');
    expect(
      webhook.seen.map(({ request }) => [request['subResource'], request['kind'].kind, request['object'].kind]),
    ).toEqual([
      ['binding', 'Binding', 'Binding'],
      ['eviction', 'Eviction', 'Eviction'],
      ['scale', 'Scale', 'Scale'],
    ]);
    expect(webhook.seen[2]?.request).toMatchObject({
      object: { spec: { replicas: 3 } },
      oldObject: { spec: { replicas: 1 } },
      resource: { group: 'apps', version: 'v1', resource: 'deployments' },
    });
  });
});

describe('mutating webhooks', () => {
  test('change the object in turn, and what they made is defaulted', async () => {
    webhook.answers.set('/one', () => ({ allowed: true, patch: [add('/data/one', 'yes')] }));
    webhook.answers.set('/two', ({ object }) => ({
      allowed: true,
      patch: object.data.one ? [add('/data/two', 'yes')] : [],
    }));
    await register('Mutating', 'm', hook('/one'), hook('/two'));
    const { json } = await create(configMap('m1', { start: 'yes' }));
    expect(json['data']).toEqual({ start: 'yes', one: 'yes', two: 'yes' });

    const init = { name: 'init', image: 'i' };
    webhook.answers.set('/pod', () => ({ allowed: true, patch: [add('/spec/initContainers', [init])] }));
    await register('Mutating', 'pod', hook('/pod', { rules: [rule(['pods'])] }));
    const pod = { metadata: { name: 'mutated' }, spec: { containers: [{ name: 'c', image: 'i' }] } };
    const created = await api.call('POST', '/api/v1/namespaces/default/pods', pod);
    expect(created.json['spec'].initContainers[0]).toMatchObject({
      name: 'init',
      terminationMessagePath: '/dev/termination-log',
    });
  });

  test('that want it are asked again when a later one changed the object', async () => {
    webhook.answers.set('/count', ({ object }) => ({
      allowed: true,
      patch: [add('/metadata/annotations', { seen: Object.keys(object.data ?? {}).join() })],
    }));
    webhook.answers.set('/late', ({ object }) => ({
      allowed: true,
      patch: object.data?.late ? [] : [add('/data', { ...object.data, late: 'yes' })],
    }));
    await register('Mutating', 'again', hook('/count', { reinvocationPolicy: 'IfNeeded' }), hook('/late'));
    const { json } = await create(configMap('r1', { a: '1' }));
    expect(json['metadata'].annotations).toEqual({ seen: 'a,late' });
    expect(webhook.seen.map(({ path }) => path.split('?')[0])).toEqual(['/count', '/late', '/count']);
  });

  test('cannot give what is no patch of the object', async () => {
    webhook.answers.set('/wrong', () => ({ allowed: true, patch: [{ op: 'remove', path: '/nothing/here' }] }));
    await register('Mutating', 'wrong', hook('/wrong'));
    expect((await create(configMap('w'))).code).toBe(500);
    webhook.answers.set('/wrong', () => ({ allowed: true, patch: [add('/data', 'text')] }));
    expect((await create(configMap('w'))).code).toBe(500);
  });
});

describe('webhooks for custom resources', () => {
  const widgets = (version: string): string => `/apis/example.com/${version}/namespaces/default/widgets`;
  const widget = { apiVersion: 'example.com/v1', kind: 'Widget', metadata: { name: 'w' }, spec: { size: 'small' } };

  beforeAll(async () => {
    const crd = widgetDefinition(({ spec }) => {
      const v2 = structuredClone(spec.versions[0]!);
      spec.versions.push({ ...v2, name: 'v2', storage: false });
    });
    await api.call('POST', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions', crd);
    await eventually(async () => (await api.call('GET', widgets('v2'))).code === 200);
  });

  test('see them in the version that they ask for, and what they add is pruned', async () => {
    webhook.answers.set('/widget', () => ({
      allowed: true,
      patch: [add('/spec/color', 'blue'), add('/spec/unknown', 'x')],
    }));
    const rules = [{ ...rule(['widgets'], ['*'], ['example.com']), apiVersions: ['v2'] }];
    await register('Mutating', 'widget', hook('/widget', { rules }));
    const { code, json } = await api.call('POST', widgets('v1'), widget);
    expect([code, json['apiVersion'], json['spec'].color, json['spec'].unknown]).toEqual([
      201,
      'example.com/v1',
      'blue',
      undefined,
    ]);
    expect(webhook.seen[0]?.request).toMatchObject({
      kind: { version: 'v2' },
      resource: { version: 'v2' },
      requestKind: { version: 'v1' },
      object: { apiVersion: 'example.com/v2' },
    });
    await api.call('DELETE', configured.pop()!);
    await register('Mutating', 'exact', hook('/widget', { rules, matchPolicy: 'Exact' }));
    const other = await api.call('POST', widgets('v1'), { ...widget, metadata: { name: 'x' } });
    expect(other.json['spec'].color).toBeUndefined();
  });

  test('may forbid their definition', async () => {
    webhook.answers.set('/crd', () => ({ allowed: false, status: { message: 'no more kinds' } }));
    const rules = [rule(['customresourcedefinitions'], ['CREATE'], ['apiextensions.k8s.io'])];
    await register('Validating', 'crd', hook('/crd', { rules }));
    const crd = widgetDefinition(definition => {
      definition.metadata!.name = 'gadgets.example.com';
      Object.assign(definition.spec.names, { plural: 'gadgets', kind: 'Gadget', shortNames: [] });
    });
    const { json } = await api.call('POST', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions', crd);
    expect(json['message']).toContain('denied the request: no more kinds');
  });
});
