import { startTestServer, type Reply, type TestServer } from '../testing/test-server';

let api: TestServer;
beforeAll(async () => {
  api = await startTestServer();
});
afterAll(() => api.close());

let count = 0;
/** A namespace of its own for a test. */
async function namespace(): Promise<string> {
  const name = `ns-${count++}`;
  await api.call('POST', '/api/v1/namespaces', { metadata: { name } });
  await api.call('POST', `/api/v1/namespaces/${name}/serviceaccounts`, { metadata: { name: 'default' } });
  return name;
}

const at = (ns: string, resource: string): string => `/api/v1/namespaces/${ns}/${resource}`;
const post = (ns: string, resource: string, object: object, query = ''): Promise<Reply> =>
  api.call('POST', at(ns, resource) + query, object);
const messageOf = ({ code, json }: Reply): unknown => (code < 300 ? code : json['message']);

function pod(name: string, resources: object = {}, more: object = {}): object {
  return { metadata: { name }, spec: { containers: [{ name: 'c', image: 'i', resources }], ...more } };
}

async function limit(ns: string, ...limits: object[]): Promise<void> {
  expect((await post(ns, 'limitranges', { metadata: { name: 'limits' }, spec: { limits } })).code).toBe(201);
}

describe('a LimitRange', () => {
  test('fills in what containers leave out, and says so', async () => {
    const ns = await namespace();
    await limit(ns, {
      type: 'Container',
      default: { cpu: '500m', memory: '500Mi' },
      defaultRequest: { cpu: '100m', memory: '200Mi' },
    });
    const { json } = await post(ns, 'pods', pod('p', { requests: { cpu: '300m' } }));
    expect(json['spec'].containers[0].resources).toEqual({
      limits: { cpu: '500m', memory: '500Mi' },
      requests: { cpu: '300m', memory: '200Mi' },
    });
    expect(json['metadata'].annotations['kubernetes.io/limit-ranger']).toBe(
      'LimitRanger plugin set: memory request for container c; cpu, memory limit for container c',
    );
  });

  test('refuses containers, pods and claims outside it', async () => {
    const ns = await namespace();
    await limit(
      ns,
      { type: 'Container', min: { cpu: '50m' }, max: { cpu: '500m' }, maxLimitRequestRatio: { cpu: '2' } },
      { type: 'Pod', max: { memory: '1Gi' } },
      { type: 'PersistentVolumeClaim', min: { storage: '1Gi' }, max: { storage: '2Gi' } },
    );
    const memory = '100Mi';
    const resources = (request: string, most: string, m = memory): object => ({
      requests: { cpu: request, memory: m },
      limits: { cpu: most, memory: m },
    });
    expect(messageOf(await post(ns, 'pods', pod('low', resources('10m', '20m'))))).toBe(
      'pods "low" is forbidden: minimum cpu usage per Container is 50m, but request is 10m',
    );
    expect(messageOf(await post(ns, 'pods', pod('high', resources('400m', '600m'))))).toBe(
      'pods "high" is forbidden: maximum cpu usage per Container is 500m, but limit is 600m',
    );
    expect(messageOf(await post(ns, 'pods', pod('ratio', resources('100m', '300m'))))).toContain(
      'cpu max limit to request ratio per Container is 2, but provided ratio is 3.000000',
    );
    expect(messageOf(await post(ns, 'pods', pod('pod', resources('100m', '200m', '2Gi'))))).toContain(
      'maximum memory usage per Pod is 1Gi, but limit is 2Gi',
    );
    expect(messageOf(await post(ns, 'pods', pod('fits', resources('100m', '200m'))))).toBe(201);
    const claim = (name: string, storage: string): object => ({
      metadata: { name },
      spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage } } },
    });
    expect(messageOf(await post(ns, 'persistentvolumeclaims', claim('small', '500Mi')))).toBe(
      'persistentvolumeclaims "small" is forbidden: minimum storage usage per PersistentVolumeClaim is 1Gi, but request is 500Mi',
    );
    expect(messageOf(await post(ns, 'persistentvolumeclaims', claim('big', '3Gi')))).toContain(
      'maximum storage usage per PersistentVolumeClaim is 2Gi, but request is 3Gi',
    );
    expect(messageOf(await post(ns, 'persistentvolumeclaims', claim('right', '1Gi')))).toBe(201);
  });
});

/** A quota as its controller leaves it: what is limited, and what is used of it. */
async function quota(ns: string, name: string, hard: Record<string, string>, spec: object = {}): Promise<void> {
  const { json } = await post(ns, 'resourcequotas', { metadata: { name }, spec: { hard, ...spec } });
  const used = Object.fromEntries(Object.keys(hard).map(each => [each, '0']));
  const url = `${at(ns, 'resourcequotas')}/${name}/status`;
  expect((await api.call('PUT', url, { ...json, status: { hard, used } })).code).toBe(200);
}

async function used(ns: string, name: string): Promise<Record<string, string>> {
  return (await api.call('GET', `${at(ns, 'resourcequotas')}/${name}`)).json['status'].used;
}

describe('a ResourceQuota', () => {
  test('is charged with what a pod takes, and refuses what is too much', async () => {
    const ns = await namespace();
    await quota(ns, 'q', { pods: '2', 'requests.cpu': '1', 'limits.memory': '1Gi', 'requests.example.com/gpu': '3' });
    const gpu = { 'example.com/gpu': '2' };
    const resources = { requests: { cpu: '500m', ...gpu }, limits: { cpu: '1', memory: '600Mi', ...gpu } };
    expect(messageOf(await post(ns, 'pods', pod('a', resources), '?dryRun=All'))).toBe(201);
    expect((await used(ns, 'q'))['pods']).toBe('0');
    expect(messageOf(await post(ns, 'pods', pod('a', resources)))).toBe(201);
    expect(await used(ns, 'q')).toEqual({
      pods: '1',
      'requests.cpu': '500m',
      'limits.memory': '600Mi',
      'requests.example.com/gpu': '2',
    });
    expect(messageOf(await post(ns, 'pods', pod('b', resources)))).toBe(
      'pods "b" is forbidden: exceeded quota: q, requested: limits.memory=600Mi,requests.example.com/gpu=2, used: limits.memory=600Mi,requests.example.com/gpu=2, limited: limits.memory=1Gi,requests.example.com/gpu=3',
    );
    expect(messageOf(await post(ns, 'pods', pod('c')))).toBe(
      'pods "c" is forbidden: failed quota: q: must specify limits.memory for: c; requests.cpu for: c',
    );
  });

  test('counts extended resources by the name of their class of devices too', async () => {
    const ns = await namespace();
    const name = 'deviceclass.resource.kubernetes.io/gpu';
    await quota(ns, 'q', { [`requests.${name}`]: '2' });
    const resources = { requests: { [name]: '2' }, limits: { [name]: '2' } };
    expect(messageOf(await post(ns, 'pods', pod('a', resources)))).toBe(201);
    expect(messageOf(await post(ns, 'pods', pod('b', resources)))).toContain(
      `exceeded quota: q, requested: requests.${name}=2, used: requests.${name}=2, limited: requests.${name}=2`,
    );
  });

  test('counts the devices that claims ask for by their class', async () => {
    const ns = await namespace();
    const [devices, implicit] = [
      'gpu.deviceclass.resource.k8s.io/devices',
      'requests.deviceclass.resource.kubernetes.io/gpu',
    ];
    await quota(ns, 'q', { [devices]: '40', [implicit]: '4' });
    const claim = (name: string, requests: object[], annotations: object = {}) =>
      api.call('POST', `/apis/resource.k8s.io/v1/namespaces/${ns}/resourceclaims`, {
        metadata: { name, annotations },
        spec: { devices: { requests: requests.map((request, i) => ({ name: `r${i}`, ...request })) } },
      });
    const gpus = (more: object) => ({ deviceClassName: 'gpu', ...more });
    const alternatives = [
      { name: 'two', ...gpus({ count: 2 }) },
      { name: 'other', deviceClassName: 'nic', count: 8 },
      { name: 'one', ...gpus({ count: 1 }) },
    ];
    expect(messageOf(await claim('a', [{ exactly: gpus({ count: 2 }) }, { firstAvailable: alternatives }]))).toBe(201);
    expect(await used(ns, 'q')).toEqual({ [devices]: '4', [implicit]: '4' });
    expect(messageOf(await claim('b', [{ exactly: gpus({}) }]))).toContain(
      `exceeded quota: q, requested: ${implicit}=1, used: ${implicit}=4, limited: ${implicit}=4`,
    );
    // What was asked for as extended resources counts there with the pod.
    const extended = { 'resource.kubernetes.io/extended-resource-claim': 'true' };
    expect(messageOf(await claim('c', [{ exactly: gpus({ allocationMode: 'All' }) }], extended))).toBe(201);
    expect(await used(ns, 'q')).toEqual({ [devices]: '36', [implicit]: '4' });
  });

  test('counts objects of every kind, by either name', async () => {
    const ns = await namespace();
    await quota(ns, 'q', { configmaps: '1', 'count/secrets': '1', 'count/deployments.apps': '0' });
    expect(messageOf(await post(ns, 'configmaps', { metadata: { name: 'a' } }))).toBe(201);
    expect(messageOf(await post(ns, 'configmaps', { metadata: { name: 'b' } }))).toContain(
      'exceeded quota: q, requested: configmaps=1, used: configmaps=1, limited: configmaps=1',
    );
    expect(messageOf(await post(ns, 'secrets', { metadata: { name: 'a' } }))).toBe(201);
    expect(messageOf(await post(ns, 'secrets', { metadata: { name: 'b' } }))).toContain('count/secrets=1');
    const template = { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'c', image: 'i' }] } };
    const deployment = { metadata: { name: 'd' }, spec: { selector: { matchLabels: { a: 'b' } }, template } };
    const { json } = await api.call('POST', `/apis/apps/v1/namespaces/${ns}/deployments`, deployment);
    expect(json['message']).toContain('requested: count/deployments.apps=1');
  });

  test('counts the ports and balancers of services, and what an update adds', async () => {
    const ns = await namespace();
    await quota(ns, 'q', { services: '3', 'services.nodeports': '2', 'services.loadbalancers': '1' });
    const service = (name: string, type: string): object => ({
      metadata: { name },
      spec: { type, ports: [{ port: 80 }] },
    });
    const { json } = await post(ns, 'services', service('a', 'ClusterIP'));
    expect(messageOf(await post(ns, 'services', service('b', 'LoadBalancer')))).toBe(201);
    expect(messageOf(await post(ns, 'services', service('c', 'LoadBalancer')))).toContain('services.loadbalancers=1');
    const changed = { ...json, spec: { ...json['spec'], type: 'NodePort' } };
    expect((await api.call('PUT', `${at(ns, 'services')}/a`, changed)).code).toBe(200);
    expect(await used(ns, 'q')).toEqual({ services: '2', 'services.nodeports': '2', 'services.loadbalancers': '1' });
    expect(messageOf(await post(ns, 'services', service('d', 'NodePort')))).toContain('services.nodeports=1');
  });

  test('counts storage in all and by class', async () => {
    const ns = await namespace();
    const byClass = 'gold.storageclass.storage.k8s.io/requests.storage';
    await quota(ns, 'q', { persistentvolumeclaims: '5', 'requests.storage': '10Gi', [byClass]: '2Gi' });
    const claim = (name: string, storage: string, storageClassName: string): object => ({
      metadata: { name },
      spec: { accessModes: ['ReadWriteOnce'], storageClassName, resources: { requests: { storage } } },
    });
    expect(messageOf(await post(ns, 'persistentvolumeclaims', claim('a', '2Gi', 'gold')))).toBe(201);
    expect(messageOf(await post(ns, 'persistentvolumeclaims', claim('b', '1Gi', 'gold')))).toContain(`${byClass}=1Gi`);
    expect(messageOf(await post(ns, 'persistentvolumeclaims', claim('c', '8Gi', 'tin')))).toBe(201);
    expect(await used(ns, 'q')).toEqual({ persistentvolumeclaims: '2', 'requests.storage': '10Gi', [byClass]: '2Gi' });
  });

  test('with scopes counts the pods in them', async () => {
    const ns = await namespace();
    await quota(ns, 'best-effort', { pods: '1' }, { scopes: ['BestEffort'] });
    await quota(ns, 'terminating', { pods: '1' }, { scopes: ['Terminating', 'NotBestEffort'] });
    await api.call('POST', '/apis/scheduling.k8s.io/v1/priorityclasses', {
      metadata: { name: `high-${ns}` },
      value: 10,
    });
    const matchExpressions = [{ scopeName: 'PriorityClass', operator: 'In', values: [`high-${ns}`] }];
    await quota(ns, 'high', { pods: '0' }, { scopeSelector: { matchExpressions } });
    const requests = { requests: { cpu: '1m' } };
    expect(messageOf(await post(ns, 'pods', pod('a')))).toBe(201);
    expect(messageOf(await post(ns, 'pods', pod('b')))).toContain('exceeded quota: best-effort');
    expect(messageOf(await post(ns, 'pods', pod('c', requests)))).toBe(201);
    expect(messageOf(await post(ns, 'pods', pod('d', requests, { activeDeadlineSeconds: 9 })))).toBe(201);
    expect(messageOf(await post(ns, 'pods', pod('e', requests, { activeDeadlineSeconds: 9 })))).toContain(
      'exceeded quota: terminating',
    );
    expect(messageOf(await post(ns, 'pods', pod('f', requests, { priorityClassName: `high-${ns}` })))).toContain(
      'exceeded quota: high',
    );
  });

  test('is exact however many create at the same time', async () => {
    const ns = await namespace();
    await quota(ns, 'q', { pods: '10', configmaps: '7' });
    const replies = await Promise.all(
      Array.from({ length: 40 }, (_, i) =>
        i % 2 ? post(ns, 'pods', pod(`p${i}`)) : post(ns, 'configmaps', { metadata: { name: `c${i}` } }),
      ),
    );
    expect(replies.filter(({ code }) => code === 201)).toHaveLength(17);
    expect(await used(ns, 'q')).toEqual({ pods: '10', configmaps: '7' });
  });

  test('whose use is not known yet lets nothing pass', async () => {
    const ns = await namespace();
    const { json } = await post(ns, 'resourcequotas', { metadata: { name: 'q' }, spec: { hard: { pods: '1' } } });
    await api.call('PUT', `${at(ns, 'resourcequotas')}/q/status`, { ...json, status: { hard: { pods: '1' } } });
    expect(messageOf(await post(ns, 'pods', pod('a')))).toBe(
      'pods "a" is forbidden: status unknown for quota: q, resources: pods',
    );
  });
});
