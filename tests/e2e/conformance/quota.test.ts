import type { ResourceQuota } from '@naru/api';
import { inNamespace, ask, must, until, type Loose } from '../rest';
import { api } from './api';
import { idlePod, idleSpec } from './web-pod';

// Upstream's conformance tests of ResourceQuota. Its pods need not run: no node is theirs.
const nowhere = { nodeSelector: { 'naru.test/nowhere': 'yes' } };

const hard = {
  pods: '5',
  services: '10',
  'services.nodeports': '1',
  'services.loadbalancers': '1',
  replicationcontrollers: '10',
  resourcequotas: '1',
  cpu: '1',
  memory: '500Mi',
  configmaps: '10',
  secrets: '10',
  persistentvolumeclaims: '10',
  'requests.storage': '10Gi',
  'gold.storageclass.storage.k8s.io/persistentvolumeclaims': '10',
  'requests.ephemeral-storage': '50Gi',
  'requests.example.com/dongle': '3',
  'count/replicasets.apps': '5',
};

const template = { metadata: { labels: { name: 'q' } }, spec: idleSpec(nowhere) };
const service = (type: string, more: object = {}): object => ({
  spec: { type, selector: { name: 'q' }, ports: [{ port: 80 }], ...more },
});
const dongles = (cpu: string, memory: string): object =>
  idlePod('', nowhere, {
    resources: {
      requests: { cpu, memory, 'ephemeral-storage': '30Gi', 'example.com/dongle': '2' },
      limits: { 'example.com/dongle': '2' },
    },
  });
const claim = (storageClassName?: string): object => ({
  spec: {
    accessModes: ['ReadWriteOnce'],
    resources: { requests: { storage: '1Gi' } },
    ...(storageClassName ? { storageClassName } : {}),
  },
});

interface Life {
  what: string;
  /** Below the namespace, or the path of a group's version and the resource. */
  resource: string;
  group?: string;
  objects: object[];
  /** Would be more than the quota has. */
  tooMuch?: object[];
  used: Record<string, string>;
}

const lives: Life[] = [
  {
    what: 'services',
    resource: 'services',
    objects: [service('ClusterIP'), service('NodePort')],
    tooMuch: [service('LoadBalancer')],
    used: { services: '2', 'services.nodeports': '1' },
  },
  { what: 'a secret', resource: 'secrets', objects: [{ data: { 'data-1': 'dmFsdWUtMQ==' } }], used: { secrets: '1' } },
  { what: 'a config map', resource: 'configmaps', objects: [{ data: { a: 'b' } }], used: { configmaps: '2' } },
  {
    what: 'a pod',
    resource: 'pods',
    objects: [dongles('500m', '252Mi')],
    tooMuch: [dongles('600m', '100Mi'), dongles('500m', '100Mi')],
    used: {
      pods: '1',
      cpu: '500m',
      memory: '252Mi',
      'requests.ephemeral-storage': '30Gi',
      'requests.example.com/dongle': '2',
    },
  },
  {
    what: 'a replication controller',
    resource: 'replicationcontrollers',
    objects: [{ spec: { replicas: 0, selector: { name: 'q' }, template } }],
    used: { replicationcontrollers: '1' },
  },
  {
    what: 'a replica set',
    group: '/apis/apps/v1',
    resource: 'replicasets',
    objects: [{ spec: { replicas: 0, selector: { matchLabels: { name: 'q' } }, template } }],
    used: { 'count/replicasets.apps': '1' },
  },
  {
    what: 'claims',
    resource: 'persistentvolumeclaims',
    objects: [claim(), claim('gold')],
    used: {
      persistentvolumeclaims: '2',
      'requests.storage': '2Gi',
      'gold.storageclass.storage.k8s.io/persistentvolumeclaims': '1',
    },
  },
];

const zero = (used: Record<string, string>): Record<string, string> =>
  // The namespace keeps the config map that every namespace has.
  Object.fromEntries(Object.keys(used).map(key => [key, key === 'configmaps' ? '1' : '0']));

const named = (object: object, name: string): object => ({ ...object, metadata: { name } });

async function usedIs(path: string, quota: string, used: Record<string, string>): Promise<void> {
  await until(`${path}/resourcequotas/${quota}`, ({ status }) => expect(status?.used).toMatchObject(used));
}

/**
 * The same, and the controller knows of it. As upstream's it counts anew when something has gone, and writes when that differs from what it
 * last heard of the quota: had it not heard of the charge yet, that would stay until its next round, minutes later.
 */
async function chargedIs(path: string, quota: string, used: Record<string, string>): Promise<void> {
  await usedIs(path, quota, used);
  const url = `${path}/resourcequotas/${quota}`;
  const { spec } = await must('GET', url);
  const pods = String(Number(spec.hard.pods) + 1);
  await must('PATCH', url, { spec: { hard: { pods } } });
  await until(url, ({ status }) => expect(status?.hard).toMatchObject({ pods }));
}

const makeQuota = (path: string, name: string, spec: object): Promise<Loose> =>
  must('POST', `${path}/resourcequotas`, { metadata: { name }, spec });

test.concurrent.each(lives)(
  'a quota captures the life of $what',
  async ({ group, resource, objects, tooMuch, used }) => {
    await inNamespace('quota', async (path, namespace) => {
      await until(`${path}/configmaps/kube-root-ca.crt`, () => undefined);
      await makeQuota(path, 'test-quota', { hard });
      await usedIs(path, 'test-quota', { ...zero(used), resourcequotas: '1' });
      const url = group ? `${group}/namespaces/${namespace}/${resource}` : `${path}/${resource}`;
      for (const [i, object] of objects.entries()) await must('POST', url, named(object, `test-${i}`));
      await usedIs(path, 'test-quota', used);
      for (const [i, object] of (tooMuch ?? []).entries()) {
        const { code, body } = await ask('POST', url, named(object, `too-much-${i}`));
        expect([code, body['message']]).toEqual([403, expect.stringContaining('exceeded quota: test-quota')]);
      }
      if (resource === 'pods') {
        const resources = { requests: { cpu: '100m' } };
        const body = { spec: { containers: [{ name: 'main', resources }] } };
        expect(await ask('PATCH', `${url}/test-0`, body, 'strategic')).toMatchObject({ code: 422 });
      }
      await chargedIs(path, 'test-quota', used);
      for (const i of objects.keys()) await must('DELETE', `${url}/test-${i}?gracePeriodSeconds=0`);
      await usedIs(path, 'test-quota', zero(used));
    });
  },
);

const requests = { resources: { requests: { cpu: '500m', memory: '200Mi' }, limits: { cpu: '1', memory: '400Mi' } } };
const scopes = [
  { inside: 'BestEffort', outside: 'NotBestEffort', pod: idlePod('', nowhere), other: idlePod('', nowhere, requests) },
  {
    inside: 'Terminating',
    outside: 'NotTerminating',
    pod: idlePod('', { ...nowhere, activeDeadlineSeconds: 3600 }, requests),
    other: idlePod('', nowhere, requests),
  },
];

test.concurrent.each(scopes)('quotas with the scopes $inside and $outside count their own pods', async row => {
  await inNamespace('scopes', async path => {
    const quotas = [row.inside, row.outside];
    for (const scope of quotas) await makeQuota(path, scope.toLowerCase(), { hard: { pods: '5' }, scopes: [scope] });
    const counts = async (inside: string, outside: string): Promise<void> => {
      await usedIs(path, row.inside.toLowerCase(), { pods: inside });
      await usedIs(path, row.outside.toLowerCase(), { pods: outside });
    };
    await counts('0', '0');
    await must('POST', `${path}/pods`, named(row.pod, 'inside'));
    await counts('1', '0');
    await chargedIs(path, row.inside.toLowerCase(), { pods: '1' });
    await must('DELETE', `${path}/pods/inside?gracePeriodSeconds=0`);
    await counts('0', '0');
    await must('POST', `${path}/pods`, named(row.other, 'outside'));
    await counts('0', '1');
    await chargedIs(path, row.outside.toLowerCase(), { pods: '1' });
    await must('DELETE', `${path}/pods/outside?gracePeriodSeconds=0`);
    await counts('0', '0');
  });
});

test.concurrent('a quota is updated and deleted, and its status becomes what its spec says again', async () => {
  await inNamespace('quota', async path => {
    const url = `${path}/resourcequotas/test-quota`;
    await makeQuota(path, 'test-quota', { hard: { cpu: '1', memory: '500Mi' } });
    await usedIs(path, 'test-quota', { cpu: '0', memory: '0' });
    await api.change<ResourceQuota>(url, ({ spec }) => (spec!.hard = { cpu: '2', memory: '1Gi' }));
    const settled = { hard: { cpu: '2', memory: '1Gi' }, used: { cpu: '0', memory: '0' } };
    await until(url, ({ status }) => expect(status).toEqual(settled));
    await must('PATCH', url, { metadata: { labels: { 'e2e-rq-label': 'patched' } } }, 'strategic');
    const patched = await must(
      'PATCH',
      `${url}/status`,
      { status: { hard: { cpu: '4', memory: '4Gi' } } },
      'strategic',
    );
    expect(patched['spec'].hard).toEqual(settled.hard);
    await until(url, ({ status }) => expect(status).toEqual(settled));
    await must('DELETE', `${path}/resourcequotas?labelSelector=e2e-rq-label%3Dpatched`);
    await until(`${path}/resourcequotas`, ({ items }) => expect(items).toEqual([]));
  });
});
