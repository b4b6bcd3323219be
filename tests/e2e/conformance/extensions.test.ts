import type { KubeObject } from '@naru/api';
import { Authority, createAuthority } from '@naru/pki';
import { eventually } from '@naru/testing';
import { ask, inNamespace, must, until, untilGone, type Loose } from '../rest';
import { api, makeNamespace, patienceMs } from './api';
import { Following } from './following';
import { image } from './node-pod-cases';

// Upstream's tests of what a pod adds to the API: the sample API server, and conversion webhooks. One pod is both.
const name = 'sample-api';
const namespace = 'e2e-extensions';
const home = `/api/v1/namespaces/${namespace}`;
const rbac = '/apis/rbac.authorization.k8s.io/v1';
const bindings = {
  delegator: `${rbac}/clusterrolebindings`,
  reader: `${rbac}/namespaces/kube-system/rolebindings`,
};
const binding = (kind: string, role: string): object => ({
  metadata: { name: namespace },
  roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind, name: role },
  subjects: [{ kind: 'ServiceAccount', name: 'default', namespace }],
});
const port = 7443;
let caBundle: string;

beforeAll(async () => {
  await makeNamespace(namespace);
  const authority = await Authority.load(await createAuthority());
  caBundle = Buffer.from(authority.certificate).toString('base64');
  const { certificate, key } = await authority.issue({
    subject: { commonName: name },
    usages: ['server'],
    dnsNames: [`${name}.${namespace}.svc`],
  });
  await must('POST', bindings.delegator, binding('ClusterRole', 'system:auth-delegator'));
  await must('POST', bindings.reader, binding('Role', 'extension-apiserver-authentication-reader'));
  const stringData = { 'tls.crt': certificate, 'tls.key': key };
  await must('POST', `${home}/secrets`, { metadata: { name }, stringData });
  const labels = { app: name };
  await must('POST', `${home}/services`, {
    metadata: { name },
    spec: { selector: labels, ports: [{ port, targetPort: 8443 }] },
  });
  const container = {
    name: 'main',
    image,
    args: ['--extension', '8443'],
    volumeMounts: [{ name: 'certs', mountPath: '/certs', readOnly: true }],
    readinessProbe: { httpGet: { scheme: 'HTTPS', path: '/readyz', port: 8443 }, periodSeconds: 1 },
  };
  const volumes = [{ name: 'certs', secret: { secretName: name } }];
  const spec = { terminationGracePeriodSeconds: 0, containers: [container], volumes };
  const deployments = `/apis/apps/v1/namespaces/${namespace}/deployments`;
  await must('POST', deployments, {
    metadata: { name },
    spec: { selector: { matchLabels: labels }, template: { metadata: { labels }, spec } },
  });
  await until(`${deployments}/${name}`, ({ status }) => expect(status?.availableReplicas).toBe(1), patienceMs);
});

afterAll(async () => {
  for (const path of Object.values(bindings)) await ask('DELETE', `${path}/${namespace}`);
  await ask('DELETE', home);
});

describe('the sample API server behind an APIService', () => {
  const services = '/apis/apiregistration.k8s.io/v1/apiservices';
  const service = `${services}/v1alpha1.wardle.example.com`;
  const root = '/apis/wardle.example.com/v1alpha1';
  const flunders = `${root}/namespaces/${namespace}/flunders`;
  const flunder = (called: string): object => ({
    apiVersion: 'wardle.example.com/v1alpha1',
    kind: 'Flunder',
    metadata: { name: called, labels: { 'sample-label': 'true' } },
    spec: {},
  });
  const conditions = async (): Promise<Loose[]> =>
    (await must('GET', `${service}/status`))['status'].conditions as Loose[];
  const named = (items: Loose[]): string[] => items.map(item => item['metadata'].name as string);

  beforeAll(async () => {
    await must('POST', services, {
      metadata: { name: 'v1alpha1.wardle.example.com' },
      spec: {
        service: { namespace, name, port },
        group: 'wardle.example.com',
        version: 'v1alpha1',
        caBundle,
        groupPriorityMinimum: 2000,
        versionPriority: 200,
      },
    });
    await eventually(async () => expect((await ask('GET', flunders)).code).toBe(200), patienceMs, 100);
  });
  afterAll(() => ask('DELETE', service));

  test('serves objects that are created, listed, watched and deleted, and found by discovery', async () => {
    const { groups } = await must('GET', '/apis');
    const version = { groupVersion: 'wardle.example.com/v1alpha1', version: 'v1alpha1' };
    expect(groups).toContainEqual(
      expect.objectContaining({ name: 'wardle.example.com', versions: [version], preferredVersion: version }),
    );
    const { resources } = await must('GET', root);
    expect(resources).toContainEqual(expect.objectContaining({ name: 'flunders', namespaced: true, kind: 'Flunder' }));
    const watched = await Following.start<KubeObject>(flunders);
    expect((await ask('POST', flunders, flunder('one'))).code).toBe(201);
    expect(named((await must('GET', flunders))['items'] as Loose[])).toEqual(['one']);
    const { metadata } = await must('GET', `${flunders}/one`);
    expect(metadata).toMatchObject({ namespace, labels: { 'sample-label': 'true' } });
    expect((await ask('POST', flunders, flunder('one'))).body).toMatchObject({ code: 409, reason: 'AlreadyExists' });
    await must('POST', flunders, flunder('two'));
    await must('DELETE', `${flunders}/one`);
    await watched.event(({ type, object }) => type === 'DELETED' && object.metadata.name === 'one');
    watched.stop();
    await must('DELETE', `${flunders}?labelSelector=sample-label%3Dtrue`);
    expect((await must('GET', flunders))['items']).toEqual([]);
  });

  test('loses its objects with their namespace', async () => {
    await inNamespace('flunders', async (path, own) => {
      const elsewhere = flunders.replace(namespace, own);
      await must('POST', elsewhere, flunder('goes'));
      await must('POST', flunders, flunder('stays'));
      await must('DELETE', path);
      await untilGone(path);
      expect((await must('GET', elsewhere))['items']).toEqual([]);
      await must('DELETE', `${flunders}/stays`);
    });
  });

  test('has an APIService whose status is read, patched and updated, and which goes with others of its label', async () => {
    // The server is asked again now and then; on a machine that stood still, once in vain.
    await eventually(async () =>
      expect(await conditions()).toContainEqual(expect.objectContaining({ type: 'Available', status: 'True' })),
    );
    expect((await must('PATCH', service, { spec: { versionPriority: 400 } }))['spec']).toMatchObject({
      versionPriority: 400,
    });
    expect(named((await must('GET', services))['items'] as Loose[])).toContain('v1alpha1.wardle.example.com');
    const labels = { 'apiservice-label': 'e2e' };
    expect((await api.change(service, ({ metadata }) => void (metadata.labels = labels))).metadata.labels).toEqual(
      labels,
    );
    const updated = { type: 'StatusUpdated', status: 'True', reason: 'E2E', message: 'Set from an e2e test' };
    await api.change<KubeObject & Loose>(service, ({ status }) => void status.conditions.push(updated), '/status');
    expect(await conditions()).toContainEqual(expect.objectContaining(updated));
    const patched = { ...updated, type: 'StatusPatched' };
    await must('PATCH', `${service}/status`, { status: { conditions: [patched] } });
    expect(await conditions()).toContainEqual(expect.objectContaining(patched));
    await must('DELETE', `${services}?labelSelector=apiservice-label%3De2e`);
    await untilGone(service);
    await eventually(async () => expect((await ask('GET', root)).code).toBe(404), patienceMs, 100);
  });
});

describe('custom resources of two versions, converted by a webhook', () => {
  const definitions = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
  const group = 'stable.example.com';
  const places = (version: string): string => `/apis/${group}/${version}/namespaces/${namespace}/places`;
  const version = (versionName: string, fields: string[], storage: boolean): object => ({
    name: versionName,
    served: true,
    storage,
    schema: {
      openAPIV3Schema: {
        type: 'object',
        properties: Object.fromEntries(fields.map(field => [field, { type: 'string' }])),
      },
    },
    selectableFields: fields.map(field => ({ jsonPath: `.${field}` })),
  });
  const definition = `${definitions}/places.${group}`;
  const place = (called: string, of: string, fields: object): object => ({
    apiVersion: `${group}/${of}`,
    kind: 'Place',
    metadata: { name: called },
    ...fields,
  });

  beforeAll(async () => {
    const clientConfig = { caBundle, service: { namespace, name, path: '/crdconvert', port } };
    await must('POST', definitions, {
      metadata: { name: `places.${group}` },
      spec: {
        group,
        scope: 'Namespaced',
        names: { plural: 'places', singular: 'place', kind: 'Place' },
        versions: [version('v1', ['hostPort'], true), version('v2', ['host', 'port'], false)],
        conversion: {
          strategy: 'Webhook',
          webhook: { clientConfig, conversionReviewVersions: ['v1', 'v1beta1'] },
        },
      },
    });
    for (const each of ['v1', 'v2'])
      await eventually(async () => expect((await ask('GET', places(each))).code).toBe(200), patienceMs, 100);
  });
  afterAll(() => ask('DELETE', definition));

  test('are listed, watched and followed by the fields of the version that is asked', async () => {
    const follow = (of: string, fieldSelector: string): Promise<Following<KubeObject>> =>
      Following.start<KubeObject>(places(of), { fieldSelector });
    const host = await follow('v2', 'host=host1');
    const hostAndPort = await follow('v2', 'host=host1,port=80');
    const old = await follow('v1', 'hostPort=host1:80');
    const listed = async (of: string, fieldSelector: string): Promise<string[]> =>
      (await api.list(`${places(of)}?${new URLSearchParams({ fieldSelector })}`)).items.map(
        ({ metadata }) => metadata.name,
      );
    const told = async (followed: Following<KubeObject>, ...events: string[]): Promise<void> =>
      eventually(
        () => expect(followed.seen.map(({ type, object }) => `${type} ${object.metadata.name}`)).toEqual(events),
        patienceMs,
        20,
      );
    await must('POST', places('v2'), place('a', 'v2', { host: 'host1', port: '80' }));
    await must('POST', places('v2'), place('b', 'v2', { host: 'host1', port: '8080' }));
    await must('POST', places('v2'), place('c', 'v2', { host: 'host2' }));
    expect(await listed('v2', 'host=host1')).toEqual(['a', 'b']);
    expect(await listed('v2', 'host=host1,port=80')).toEqual(['a']);
    expect(await listed('v1', 'hostPort=host1:80')).toEqual(['a']);
    expect(await listed('v1', 'hostPort=host1:8080')).toEqual(['b']);
    await told(host, 'ADDED a', 'ADDED b');
    await told(hostAndPort, 'ADDED a');
    await told(old, 'ADDED a');

    const query = new URLSearchParams({ fieldSelector: 'host=host1,port=80' });
    await must('DELETE', `${places('v2')}?${query}`, { gracePeriodSeconds: 0 });
    await api.change<KubeObject & Loose>(`${places('v2')}/b`, found => void (found['host'] = 'host2'));
    expect(await listed('v2', 'host=host1')).toEqual([]);
    expect(await listed('v2', 'host=host1,port=80')).toEqual([]);
    await told(host, 'ADDED a', 'ADDED b', 'DELETED a', 'DELETED b');
    await told(hostAndPort, 'ADDED a', 'DELETED a');
    await told(old, 'ADDED a', 'DELETED a');
    for (const { seen } of [host, hostAndPort])
      for (const { object } of seen) expect(object).toMatchObject({ apiVersion: `${group}/v2` });
    for (const followed of [host, hostAndPort, old]) followed.stop();
    await must('DELETE', places('v2'));
  });

  test('are read in one version, whichever each was stored in', async () => {
    await must('POST', places('v1'), place('stored-as-v1', 'v1', { hostPort: 'host1:80' }));
    expect(await must('GET', `${places('v2')}/stored-as-v1`)).toMatchObject({ host: 'host1', port: '80' });
    await api.change<KubeObject & Loose>(definition, ({ spec }) => {
      for (const each of spec.versions as Loose[]) each['storage'] = each['name'] === 'v2';
    });
    await until(definition, ({ status }) => expect(status.storedVersions).toEqual(['v1', 'v2']));
    await eventually(
      () => must('POST', places('v2'), place('stored-as-v2', 'v2', { host: 'host2', port: '81' })),
      patienceMs,
      100,
    );
    for (const [of, fields] of [
      ['v1', [{ hostPort: 'host1:80' }, { hostPort: 'host2:81' }]],
      [
        'v2',
        [
          { host: 'host1', port: '80' },
          { host: 'host2', port: '81' },
        ],
      ],
    ] as const)
      expect((await must('GET', places(of)))['items']).toMatchObject(
        fields.map(each => ({ apiVersion: `${group}/${of}`, ...each })),
      );
  });
});
