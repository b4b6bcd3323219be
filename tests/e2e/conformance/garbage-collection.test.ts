import type { KubeObject, Pod } from '@naru/api';
import { ask, inNamespace, must, until, untilGone, type Loose } from '../rest';
import { idlePod, idleSpec } from './web-pod';

// Upstream's conformance tests of the garbage collector. The pods need not run: no node is theirs.
const nowhere = { nodeSelector: { 'naru.test/nowhere': 'yes' } };
const labels = { app: 'collected' };
const template = { metadata: { labels }, spec: idleSpec(nowhere) };
const controller = (name: string, replicas: number): object => ({
  metadata: { name },
  spec: { replicas, selector: labels, template },
});

interface Items<T> {
  items: T[];
}

const podsAre = (path: string, check: (items: Pod[]) => void): Promise<Items<Pod>> =>
  until<Items<Pod>>(`${path}/pods`, ({ items }) => check(items));
const remove = (url: string, propagationPolicy: string): Promise<Loose> => must('DELETE', url, { propagationPolicy });
const owners = ({ metadata }: KubeObject): string[] => (metadata?.ownerReferences ?? []).map(({ name }) => name);

/** A deployment that has a replica set with its pods. */
async function deployed(namespace: string, path: string): Promise<{ url: string; sets: string }> {
  const deployments = `/apis/apps/v1/namespaces/${namespace}/deployments`;
  const spec = { replicas: 2, selector: { matchLabels: labels }, template };
  await must('POST', deployments, { metadata: { name: 'simpletest' }, spec });
  await podsAre(path, items => expect(items).toHaveLength(2));
  return { url: `${deployments}/simpletest`, sets: `/apis/apps/v1/namespaces/${namespace}/replicasets` };
}

test.concurrent('a deployment that is deleted in the background takes its replica set and pods with it', async () => {
  await inNamespace('gc-background', async (path, namespace) => {
    const { url, sets } = await deployed(namespace, path);
    await remove(url, 'Background');
    expect((await ask('GET', url)).code).toBe(404);
    await until<Items<Loose>>(sets, ({ items }) => expect(items).toEqual([]));
    await podsAre(path, items => expect(items).toEqual([]));
  });
});

test.concurrent('a deployment that orphans leaves its replica set, and that its pods', async () => {
  await inNamespace('gc-orphan', async (path, namespace) => {
    const { url, sets } = await deployed(namespace, path);
    await remove(url, 'Orphan');
    await untilGone(url);
    const { items } = await must<Items<KubeObject>>('GET', sets);
    expect(items.map(owners)).toEqual([[]]);
    await podsAre(path, pods => expect(pods.map(owners)).toEqual(Array(2).fill([items[0]!.metadata!.name])));
  });
});

test.concurrent(
  'a replication controller takes its pods with it, leaves them, or waits for them, as is asked',
  async () => {
    await inNamespace('gc-controller', async path => {
      const controllers = `${path}/replicationcontrollers`;
      const url = `${controllers}/simpletest.rc`;
      const start = async (replicas: number): Promise<void> => {
        await must('POST', controllers, controller('simpletest.rc', replicas));
        await podsAre(path, items => expect(items).toHaveLength(replicas));
      };
      await start(2);
      await remove(url, 'Background');
      await podsAre(path, items => expect(items).toEqual([]));

      await start(10);
      const [first] = (await must<Items<Pod>>('GET', `${path}/pods`)).items;
      const held = `${path}/pods/${first!.metadata!.name}`;
      await must('PATCH', held, { metadata: { finalizers: ['e2e.example.com/hold'] } });
      await remove(url, 'Foreground');
      // One pod is held back: so is its owner, which says why.
      await podsAre(path, items => expect(items).toHaveLength(1));
      expect((await must('GET', url))['metadata'].finalizers).toEqual(['foregroundDeletion']);
      await must('PATCH', held, { metadata: { finalizers: null } });
      await untilGone(url);
      await podsAre(path, items => expect(items).toEqual([]));

      await start(10);
      await remove(url, 'Orphan');
      await untilGone(url);
      await podsAre(path, items => expect(items.map(owners)).toEqual(Array(10).fill([])));
    });
  },
);

test.concurrent('pods with another owner outlive the one that waits for its dependents', async () => {
  await inNamespace('gc-owners', async path => {
    const controllers = `${path}/replicationcontrollers`;
    await must('POST', controllers, controller('to-be-deleted', 10));
    const stay = {
      metadata: { name: 'to-stay' },
      spec: {
        replicas: 0,
        selector: { other: 'pods' },
        template: { ...template, metadata: { labels: { other: 'pods' } } },
      },
    };
    const { metadata } = await must('POST', controllers, stay);
    const { items } = await podsAre(path, pods => expect(pods).toHaveLength(10));
    const owner = { apiVersion: 'v1', kind: 'ReplicationController', name: 'to-stay', uid: metadata.uid as string };
    const kept = items.slice(0, 5).map(pod => pod.metadata!.name!);
    for (const name of kept)
      await must('PATCH', `${path}/pods/${name}`, { metadata: { ownerReferences: [owner] } }, 'strategic');
    await remove(`${controllers}/to-be-deleted`, 'Foreground');
    await untilGone(`${controllers}/to-be-deleted`);
    const left = await must<Items<Pod>>('GET', `${path}/pods`);
    expect(left.items.map(pod => pod.metadata!.name!).sort()).toEqual([...kept].sort());
    for (const pod of left.items) {
      expect(owners(pod)).toEqual(['to-stay']);
      expect(pod.metadata).not.toHaveProperty('deletionTimestamp');
    }
  });
});

test.concurrent('pods that own each other in a circle all go', async () => {
  await inNamespace('gc-circle', async path => {
    const names = ['pod1', 'pod2', 'pod3'];
    const uids = new Map<string, string>();
    for (const name of names)
      uids.set(name, (await must('POST', `${path}/pods`, idlePod(name, nowhere)))['metadata'].uid as string);
    for (const [i, name] of names.entries()) {
      const owner = names[(i + 2) % 3]!;
      const reference = {
        apiVersion: 'v1',
        kind: 'Pod',
        name: owner,
        uid: uids.get(owner),
        controller: true,
        blockOwnerDeletion: true,
      };
      await must('PATCH', `${path}/pods/${name}`, { metadata: { ownerReferences: [reference] } });
    }
    await remove(`${path}/pods/pod1`, 'Foreground');
    await podsAre(path, items => expect(items).toEqual([]));
  });
});
