import { startTestServer, type Reply, type TestServer } from './testing/test-server';

let api: TestServer;
beforeAll(async () => {
  api = await startTestServer();
  const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default' } };
  expect((await api.call('POST', '/api/v1/namespaces/default/serviceaccounts', account)).code).toBe(201);
});
afterAll(() => api.close());

const configMap = (name: string, data: Record<string, string> = {}) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name },
  data,
});
const pod = (name: string, spec: object = {}) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, labels: { app: 'web' } },
  spec: { containers: [{ name: 'c', image: 'i' }], ...spec },
});
const maps = '/api/v1/namespaces/default/configmaps';
const pods = '/api/v1/namespaces/default/pods';

describe('objects', () => {
  test('are created, read, updated and deleted, with a growing resourceVersion', async () => {
    const created = await api.call('POST', maps, configMap('crud', { a: '1' }));
    expect(created.code).toBe(201);
    expect(created.json).toMatchObject({ kind: 'ConfigMap', metadata: { name: 'crud', namespace: 'default' } });
    expect(created.json['metadata'].uid).toMatch(/^[0-9a-f-]{36}$/);
    const read = await api.call('GET', `${maps}/crud`);
    expect(read.json).toEqual(created.json);
    const updated = await api.call('PUT', `${maps}/crud`, { ...read.json, data: { a: '2' } });
    expect(updated.code).toBe(200);
    expect(Number(updated.json['metadata'].resourceVersion)).toBeGreaterThan(
      Number(read.json['metadata'].resourceVersion),
    );
    const stale = await api.call('PUT', `${maps}/crud`, { ...read.json, data: { a: '3' } });
    expect(stale.code).toBe(409);
    expect(stale.json).toMatchObject({
      reason: 'Conflict',
      message:
        'Operation cannot be fulfilled on configmaps "crud": the object has been modified; please apply your changes to the latest version and try again',
    });
    const gone = await api.call('DELETE', `${maps}/crud`);
    expect(gone.json).toMatchObject({
      kind: 'Status',
      status: 'Success',
      details: { name: 'crud', kind: 'configmaps' },
    });
    const missing = await api.call('GET', `${maps}/crud`);
    expect(missing.code).toBe(404);
    expect(missing.json).toMatchObject({ reason: 'NotFound', message: 'configmaps "crud" not found' });
  });

  test('that exist are not created again', async () => {
    await api.call('POST', maps, configMap('twice'));
    const again = await api.call('POST', maps, configMap('twice'));
    expect(again.json).toMatchObject({
      code: 409,
      reason: 'AlreadyExists',
      message: 'configmaps "twice" already exists',
    });
  });

  test('get a generated name', async () => {
    const { json } = await api.call('POST', maps, {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { generateName: 'gen-' },
    });
    expect(json['metadata'].name).toMatch(/^gen-[a-z0-9]{5}$/);
  });

  test('of an unchanged update keep their resourceVersion', async () => {
    const { json } = await api.call('POST', maps, configMap('same', { a: '1' }));
    const again = await api.call('PUT', `${maps}/same`, json);
    expect(again.json['metadata'].resourceVersion).toBe(json['metadata'].resourceVersion);
  });

  test('with wrong fields are refused with the field path', async () => {
    const { code, json } = await api.call('POST', pods, pod('bad', { containers: [{ name: 'Upper', image: 'i' }] }));
    expect(code).toBe(422);
    expect(json).toMatchObject({ reason: 'Invalid', details: { kind: 'Pod', name: 'bad' } });
    expect(json['details'].causes[0]).toMatchObject({ field: 'spec.containers[0].name' });
  });

  test('of a dry run are answered and not stored', async () => {
    expect((await api.call('POST', `${maps}?dryRun=All`, configMap('dry'))).code).toBe(201);
    expect((await api.call('GET', `${maps}/dry`)).code).toBe(404);
    await api.call('POST', maps, configMap('dry'));
    expect((await api.call('DELETE', `${maps}/dry?dryRun=All`)).code).toBe(200);
    expect((await api.call('DELETE', `${maps}/dry?dryRun=Some`)).code).toBe(422);
    expect((await api.call('DELETE', `${maps}/dry`, { dryRun: ['All'] })).code).toBe(200);
    expect((await api.call('GET', `${maps}/dry`)).code).toBe(200);
  });

  test('may be written in YAML', async () => {
    const text = 'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: yaml\ndata:\n  a: "1"\n';
    const { code, json } = await api.call('POST', maps, text, { headers: { 'content-type': 'application/yaml' } });
    expect([code, json['data']]).toEqual([201, { a: '1' }]);
  });

  test('with unknown fields give a warning, or an error when strict', async () => {
    const odd = { ...configMap('odd'), surprise: 1 };
    const warned = await api.call('POST', maps, odd);
    expect(warned.code).toBe(201);
    expect(warned.headers['warning']).toContain('unknown field \\"surprise\\"');
    const strict = await api.call('POST', `${maps}?fieldValidation=Strict`, { ...odd, metadata: { name: 'odd2' } });
    expect(strict.code).toBe(400);
  });
});

describe('bad requests', () => {
  test.each([
    ['GET', '/api/v1/nonsense', undefined, 404],
    ['GET', '/nonsense', undefined, 404],
    ['POST', maps, '{"kind":', 400],
    ['POST', maps, { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'x' } }, 400],
    ['POST', '/api/v1/namespaces/missing/configmaps', configMap('x'), 404],
    ['PUT', `${maps}/a`, configMap('b'), 404],
    ['GET', `${maps}?labelSelector=a%20b%20c`, undefined, 400],
    ['GET', `${pods}?fieldSelector=spec.nonsense%3Da`, undefined, 400],
    ['GET', `${maps}?resourceVersion=abc`, undefined, 400],
    ['PATCH', `${maps}/a`, {}, 415],
  ])('%s %s with %j is %s %s', async (method, url, body, code) => {
    const reply = await api.call(method, url, body);
    expect(reply.code).toBe(code);
    expect(reply.json).toMatchObject({ kind: 'Status', status: 'Failure', code });
  });

  test('answers in protobuf are refused, and so is what is not protobuf', async () => {
    const type = 'application/vnd.kubernetes.protobuf';
    expect((await api.call('GET', maps, undefined, { headers: { accept: type } })).code).toBe(406);
    expect((await api.call('POST', maps, 'k8s', { headers: { 'content-type': type } })).code).toBe(400);
    expect((await api.call('POST', maps, 'k8s', { headers: { 'content-type': 'text/plain' } })).code).toBe(415);
    const either = await api.call('GET', maps, undefined, { headers: { accept: `${type},application/json` } });
    expect(either.code).toBe(200);
  });

  test('a body that is too large is refused', async () => {
    const { code, json } = await api.call('POST', maps, configMap('large', { a: 'x'.repeat(3 * 1024 * 1024) }));
    expect([code, json['reason']]).toEqual([413, 'RequestEntityTooLarge']);
  });

  test('a YAML bomb is refused', async () => {
    const lines = ['a0: &a0 [x,x,x,x,x,x,x,x,x]'];
    for (let i = 1; i < 9; i++)
      lines.push(
        `a${i}: &a${i} [${Array(9)
          .fill(`*a${i - 1}`)
          .join(',')}]`,
      );
    const { code } = await api.call('POST', maps, lines.join('\n'), {
      headers: { 'content-type': 'application/yaml' },
    });
    expect(code).toBe(400);
  });
});

describe('lists', () => {
  const url = '/api/v1/namespaces/lists/configmaps';
  beforeAll(async () => {
    await api.call('POST', '/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'lists' } });
    for (let i = 0; i < 10; i++) {
      const labels = { even: String(i % 2 === 0), number: String(i) };
      await api.call('POST', url, { ...configMap(`m-${i}`), metadata: { name: `m-${i}`, labels } });
    }
  });

  const names = (json: Reply['json']) =>
    (json['items'] as { metadata: { name: string } }[]).map(item => item.metadata.name);

  test('come in pages that show one moment', async () => {
    const first = await api.call('GET', `${url}?limit=4`);
    expect(first.json['metadata']).toMatchObject({ remainingItemCount: 6 });
    await api.call('POST', url, configMap('m-45'));
    const token = encodeURIComponent(first.json['metadata'].continue);
    const second = await api.call('GET', `${url}?limit=4&continue=${token}`);
    expect(second.json['metadata'].resourceVersion).toBe(first.json['metadata'].resourceVersion);
    expect(names(second.json)).toEqual(['m-4', 'm-5', 'm-6', 'm-7']);
    const last = await api.call(
      'GET',
      `${url}?limit=4&continue=${encodeURIComponent(second.json['metadata'].continue)}`,
    );
    expect(names(last.json)).toEqual(['m-8', 'm-9']);
    expect(last.json['metadata'].continue).toBeUndefined();
    await api.call('DELETE', `${url}/m-45`);
  });

  test('are narrowed by labels and fields', async () => {
    const even = await api.call('GET', `${url}?labelSelector=even%3Dtrue,number%20in%20(2,3,4)`);
    expect(names(even.json)).toEqual(['m-2', 'm-4']);
    const one = await api.call('GET', `${url}?fieldSelector=metadata.name%3Dm-3`);
    expect(names(one.json)).toEqual(['m-3']);
    expect(one.json).toMatchObject({ kind: 'ConfigMapList', apiVersion: 'v1' });
  });

  test('are shown as a table, and as metadata alone', async () => {
    const accept = 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json';
    const table = await api.call('GET', url, undefined, { headers: { accept } });
    expect(table.json['kind']).toBe('Table');
    expect(table.json['rows'][0].cells.slice(0, 2)).toEqual(['m-0', 0]);
    const partial = 'application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io';
    const metadata = await api.call('GET', url, undefined, { headers: { accept: partial } });
    expect(metadata.json['kind']).toBe('PartialObjectMetadataList');
    expect(metadata.json['items'][0]).not.toHaveProperty('data');
  });

  test('of another version than the future are served', async () => {
    expect((await api.call('GET', `${url}?resourceVersion=0`)).code).toBe(200);
    const future = await api.call('GET', `${url}?resourceVersion=999999999`);
    expect(future.json).toMatchObject({ code: 504, reason: 'Timeout' });
  });

  test('are compressed for those who ask', async () => {
    for (let i = 0; i < 3; i++) await api.call('POST', url, configMap(`big-${i}`, { a: 'x'.repeat(100_000) }));
    const { headers } = await api.call('HEAD', url, undefined, { headers: { 'accept-encoding': 'gzip' } });
    expect(headers['content-encoding']).toBe('gzip');
  });

  test('are deleted as a collection', async () => {
    await api.call('DELETE', `${url}?labelSelector=even%3Dtrue`);
    const left = await api.call('GET', `${url}?labelSelector=even`);
    expect(names(left.json)).toEqual(['m-1', 'm-3', 'm-5', 'm-7', 'm-9']);
  });
});

describe('pods', () => {
  test('get defaults, the service account with its token, tolerations and a priority', async () => {
    const { code, json } = await api.call('POST', pods, pod('full'));
    expect(code).toBe(201);
    expect(json['spec']).toMatchObject({ serviceAccountName: 'default', priority: 0, restartPolicy: 'Always' });
    expect(json['spec'].tolerations).toHaveLength(2);
    expect(json['spec'].volumes[0].projected.sources).toHaveLength(3);
    expect(json['spec'].containers[0].volumeMounts[0].mountPath).toBe('/var/run/secrets/kubernetes.io/serviceaccount');
    expect(json['status']).toMatchObject({ phase: 'Pending', qosClass: 'BestEffort' });
  });

  test('without their service account are forbidden', async () => {
    const { code, json } = await api.call('POST', pods, pod('orphan', { serviceAccountName: 'missing' }));
    expect(code).toBe(403);
    expect(json['message']).toBe(
      'pods "orphan" is forbidden: error looking up service account default/missing: serviceaccount "missing" not found',
    );
  });

  test('are bound once', async () => {
    await api.call('POST', pods, pod('bound'));
    const binding = {
      apiVersion: 'v1',
      kind: 'Binding',
      metadata: { name: 'bound' },
      target: { kind: 'Node', name: 'n1' },
    };
    expect((await api.call('POST', `${pods}/bound/binding`, binding)).code).toBe(201);
    const { json } = await api.call('GET', `${pods}/bound`);
    expect(json['spec'].nodeName).toBe('n1');
    expect(json['status'].conditions).toContainEqual(expect.objectContaining({ type: 'PodScheduled', status: 'True' }));
    const again = await api.call('POST', `${pods}/bound/binding`, binding);
    expect(again.json).toMatchObject({ code: 409, message: expect.stringContaining('already assigned to node "n1"') });
    const found = await api.call('GET', '/api/v1/pods?fieldSelector=spec.nodeName%3Dn1');
    expect(found.json['items']).toHaveLength(1);
  });

  test('on a node are deleted with grace, and by the kubelet for good', async () => {
    await api.call('POST', pods, pod('graceful', { nodeName: 'n2' }));
    const asked = await api.call('DELETE', `${pods}/graceful`, { gracePeriodSeconds: 20 });
    expect(asked.json['metadata']).toMatchObject({ deletionGracePeriodSeconds: 20 });
    expect(asked.json['metadata'].deletionTimestamp).toBeDefined();
    const again = await api.call('DELETE', `${pods}/graceful`, { gracePeriodSeconds: 60 });
    expect(again.json['metadata'].resourceVersion).toBe(asked.json['metadata'].resourceVersion);
    await api.call('DELETE', `${pods}/graceful`, { gracePeriodSeconds: 0 });
    expect((await api.call('GET', `${pods}/graceful`)).code).toBe(404);
  });

  test('without a node go at once', async () => {
    await api.call('POST', pods, pod('nowhere'));
    await api.call('DELETE', `${pods}/nowhere`);
    expect((await api.call('GET', `${pods}/nowhere`)).code).toBe(404);
  });

  test('held by a finalizer stay until it is removed', async () => {
    await api.call('POST', pods, { ...pod('held'), metadata: { name: 'held', finalizers: ['example.com/hold'] } });
    const asked = await api.call('DELETE', `${pods}/held`);
    expect(asked.json['metadata'].deletionTimestamp).toBeDefined();
    const patch = { metadata: { finalizers: null } };
    const headers = { 'content-type': 'application/merge-patch+json' };
    expect((await api.call('PATCH', `${pods}/held`, patch, { headers })).code).toBe(200);
    expect((await api.call('GET', `${pods}/held`)).code).toBe(404);
  });

  test('are deleted only when the preconditions hold', async () => {
    await api.call('POST', pods, pod('guarded'));
    const wrong = await api.call('DELETE', `${pods}/guarded`, { preconditions: { uid: 'other' } });
    expect(wrong.json).toMatchObject({ code: 409, reason: 'Conflict' });
    expect((await api.call('DELETE', `${pods}/guarded`)).code).toBe(200);
  });

  test('are evicted as far as their budget allows', async () => {
    const budgets = '/apis/policy/v1/namespaces/default/poddisruptionbudgets';
    const spec = { minAvailable: 1, selector: { matchLabels: { app: 'evict' } } };
    await api.call('POST', budgets, {
      apiVersion: 'policy/v1',
      kind: 'PodDisruptionBudget',
      metadata: { name: 'b' },
      spec,
    });
    await api.call('POST', pods, {
      ...pod('evicted', { nodeName: 'n3' }),
      metadata: { name: 'evicted', labels: { app: 'evict' } },
    });
    const headers = { 'content-type': 'application/merge-patch+json' };
    const ready = { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] };
    await api.call('PATCH', `${pods}/evicted/status`, { status: ready }, { headers });
    const eviction = { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name: 'evicted' } };
    const refused = await api.call('POST', `${pods}/evicted/eviction`, eviction);
    expect(refused.json).toMatchObject({ code: 429, reason: 'TooManyRequests' });
    const status = {
      status: { disruptionsAllowed: 1, observedGeneration: 1, currentHealthy: 2, desiredHealthy: 1, expectedPods: 2 },
    };
    expect((await api.call('PATCH', `${budgets}/b/status`, status, { headers })).code).toBe(200);
    expect((await api.call('POST', `${pods}/evicted/eviction`, eviction)).code).toBe(201);
    expect((await api.call('GET', `${budgets}/b`)).json['status'].disruptionsAllowed).toBe(0);
    // The budget is spent, but a pod that serves nobody does not count while the others are enough.
    await api.call('POST', pods, {
      ...pod('unready', { nodeName: 'n3' }),
      metadata: { name: 'unready', labels: { app: 'evict' } },
    });
    await api.call('PATCH', `${pods}/unready/status`, { status: { phase: 'Running' } }, { headers });
    expect((await api.call('POST', `${pods}/unready/eviction`, eviction)).code).toBe(201);
  });
});

describe('workloads', () => {
  const url = '/apis/apps/v1/namespaces/default/deployments';
  const deployment = {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'web' },
    spec: {
      selector: { matchLabels: { app: 'web' } },
      template: { metadata: { labels: { app: 'web' } }, spec: pod('x').spec },
    },
  };

  test('are scaled by the subresource, and count their generations', async () => {
    expect((await api.call('POST', url, deployment)).json['spec'].replicas).toBe(1);
    const headers = { 'content-type': 'application/merge-patch+json' };
    const scaled = await api.call('PATCH', `${url}/web/scale`, { spec: { replicas: 3 } }, { headers });
    expect(scaled.json).toMatchObject({
      kind: 'Scale',
      spec: { replicas: 3 },
      status: { replicas: 0, selector: 'app=web' },
    });
    const { json } = await api.call('GET', `${url}/web`);
    expect([json['spec'].replicas, json['metadata'].generation]).toEqual([3, 2]);
    const wrong = await api.call('PATCH', `${url}/web/scale`, { spec: { replicas: -1 } }, { headers });
    expect(wrong.code).toBe(422);
  });

  test('keep spec and status apart', async () => {
    const { json } = await api.call('GET', `${url}/web`);
    const status = { replicas: 2, observedGeneration: 2 };
    const updated = await api.call('PUT', `${url}/web/status`, {
      ...json,
      spec: { ...json['spec'], replicas: 9 },
      status,
    });
    expect(updated.json['status']).toMatchObject(status);
    expect(updated.json['spec'].replicas).toBe(3);
    const spec = await api.call('PUT', `${url}/web`, { ...updated.json, status: {} });
    expect(spec.json['status']).toMatchObject(status);
  });

  test.each([
    ['/api/v1/namespaces/default/replicationcontrollers', { selector: { a: 'b' } }, 'Always'],
    ['/apis/batch/v1/namespaces/default/jobs', {}, 'Never'],
  ])('of %s leave their pods behind unless they are told what to do', async (of, spec, restartPolicy) => {
    const containers = [{ name: 'a', image: 'a' }];
    const template = { metadata: { labels: { a: 'b' } }, spec: { containers, restartPolicy } };
    const url = `${of}/keeps`;
    const create = () => api.call('POST', of, { metadata: { name: 'keeps' }, spec: { ...spec, template } });
    expect((await create()).code).toBe(201);
    expect((await api.call('DELETE', url)).json['metadata'].finalizers).toEqual(['orphan']);
    await api.call(
      'PATCH',
      url,
      { metadata: { finalizers: null } },
      { headers: { 'content-type': 'application/merge-patch+json' } },
    );
    expect((await create()).code).toBe(201);
    await api.call('DELETE', url, { propagationPolicy: 'Background' });
    expect((await api.call('GET', url)).code).toBe(404);
  });

  test('deleted in the foreground wait for the garbage collector', async () => {
    const reply = await api.call('DELETE', `${url}/web`, { propagationPolicy: 'Foreground' });
    expect(reply.json['metadata'].finalizers).toEqual(['foregroundDeletion']);
  });
});

describe('namespaces', () => {
  test('that are deleted take nothing new and go when their finalizer is removed', async () => {
    const url = '/api/v1/namespaces';
    await api.call('POST', url, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'ending' } });
    const asked = await api.call('DELETE', `${url}/ending`);
    expect(asked.json['status'].phase).toBe('Terminating');
    const refused = await api.call('POST', `${url}/ending/configmaps`, configMap('late'));
    expect(refused.code).toBe(403);
    expect(refused.json['details'].causes[0].reason).toBe('NamespaceTerminating');
    await api.call('PUT', `${url}/ending/finalize`, { ...asked.json, spec: { finalizers: [] } });
    expect((await api.call('GET', `${url}/ending`)).code).toBe(404);
    expect((await api.call('DELETE', `${url}/default`)).code).toBe(403);
  });
});

describe('services', () => {
  const url = '/api/v1/namespaces/default/services';
  const service = (name: string, spec: object) => ({ apiVersion: 'v1', kind: 'Service', metadata: { name }, spec });
  const ports = [{ port: 80 }];

  test('get node ports and a health check node port by a later change too, and lose the latter with its policy', async () => {
    await api.call('POST', url, service('late', { ports }));
    const patch = async (spec: object): Promise<Record<string, never>> =>
      (
        await api.call(
          'PATCH',
          `${url}/late`,
          { spec },
          { headers: { 'content-type': 'application/merge-patch+json' } },
        )
      ).json['spec'];
    await patch({ type: 'NodePort' });
    const read = async () => (await api.call('GET', `${url}/late`)).json['spec'];
    expect((await read()).ports[0].nodePort).toBeGreaterThanOrEqual(30000);
    await patch({ type: 'LoadBalancer', externalTrafficPolicy: 'Local' });
    const { healthCheckNodePort } = await read();
    expect(healthCheckNodePort).toBeGreaterThanOrEqual(30000);
    await patch({ externalTrafficPolicy: 'Cluster' });
    expect((await read()).healthCheckNodePort).toBeUndefined();
    const again = service('again', { type: 'NodePort', ports: [{ port: 80, nodePort: healthCheckNodePort }] });
    expect((await api.call('POST', url, again)).code).toBe(201);
    for (const name of ['late', 'again']) await api.call('DELETE', `${url}/${name}`);
  });

  test('of the type LoadBalancer get node ports unless they ask for none', async () => {
    for (const allocates of [true, false]) {
      const spec = { type: 'LoadBalancer', ports, allocateLoadBalancerNodePorts: allocates };
      const { json } = await api.call('POST', url, service('balanced', spec));
      expect('nodePort' in json['spec'].ports[0]).toBe(allocates);
      await api.call('DELETE', `${url}/balanced`);
    }
  });

  test('get a cluster address and node ports of their own, once each', async () => {
    const { json } = await api.call('GET', `${url}/kubernetes`);
    expect(json['spec'].clusterIP).toBe('10.96.0.1');
    const first = await api.call('POST', url, service('s1', { type: 'NodePort', ports }));
    expect(first.code).toBe(201);
    expect(first.json['spec'].clusterIP).toMatch(/^10\.96\./);
    const port = first.json['spec'].ports[0].nodePort;
    expect(port).toBeGreaterThanOrEqual(30000);
    const taken = await api.call(
      'POST',
      url,
      service('s2', { type: 'NodePort', ports: [{ port: 80, nodePort: port }] }),
    );
    expect(taken.code).toBe(422);
    expect(taken.json['message']).toContain('provided port is already allocated');
    const same = await api.call('POST', url, service('s3', { ports, clusterIP: first.json['spec'].clusterIP }));
    expect(same.code).toBe(422);
    const outside = await api.call('POST', url, service('s4', { ports, clusterIP: '10.1.1.1' }));
    expect(outside.json['message']).toContain('is not in the valid range');
    await api.call('DELETE', `${url}/s1`);
    const free = await api.call(
      'POST',
      url,
      service('s2', { type: 'NodePort', ports: [{ port: 80, nodePort: port }] }),
    );
    expect(free.code).toBe(201);
  });

  test('keep their address over an update that does not name it', async () => {
    const { json } = await api.call('POST', url, service('keep', { ports, selector: { app: 'a' } }));
    const updated = await api.call('PUT', `${url}/keep`, service('keep', { ports, selector: { app: 'b' } }));
    expect(updated.code).toBe(200);
    expect(updated.json['spec'].clusterIP).toBe(json['spec'].clusterIP);
  });
});
