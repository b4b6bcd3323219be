import type { Node, Pod } from '@naru/api';
import { eventually } from '@naru/testing';
import { ask, inNamespace, must, until, untilGone, type Loose } from '../rest';
import { idlePod, idleSpec, running } from './web-pod';

// Upstream's conformance tests of scheduling that need nodes.
const nodeNames = async (): Promise<string[]> =>
  (await must<{ items: Node[] }>('GET', '/api/v1/nodes')).items.map(({ metadata }) => metadata?.name ?? '');

/** Waits until the pod is Pending with this message of the scheduler, as condition and as event. */
async function refused(path: string, name: string, message: RegExp): Promise<void> {
  await until<Pod>(`${path}/pods/${name}`, ({ status }) => {
    expect(status?.phase).toBe('Pending');
    const condition = {
      type: 'PodScheduled',
      status: 'False',
      reason: 'Unschedulable',
      message: expect.stringMatching(message),
    };
    expect(status?.conditions).toContainEqual(expect.objectContaining(condition as object));
  });
  await until(`${path}/events?fieldSelector=involvedObject.name%3D${name}`, ({ items }) =>
    expect(items).toContainEqual(
      expect.objectContaining({ reason: 'FailedScheduling', message: expect.stringMatching(message) as string }),
    ),
  );
}

test.concurrent('a node selector leads to its node, and keeps a pod waiting that no node has', async () => {
  await inNamespace('selector', async path => {
    const [node = ''] = await nodeNames();
    const label = `naru.test/e2e-${path.split('-').at(-1)}`;
    await must('PATCH', `/api/v1/nodes/${node}`, { metadata: { labels: { [label]: '42' } } });
    try {
      const selecting = (name: string, nodeSelector: Record<string, string>): Promise<Loose> =>
        must('POST', `${path}/pods`, idlePod(name, { nodeSelector }));
      await Promise.all([
        selecting('with-labels', { [label]: '42' }),
        selecting('restricted-pod', { label: 'nonempty' }),
      ]);
      const pod = await until<Pod>(`${path}/pods/with-labels`, running);
      expect(pod.spec?.nodeName).toBe(node);
      await refused(path, 'restricted-pod', /didn't match Pod's node affinity\/selector/);
    } finally {
      await must('PATCH', `/api/v1/nodes/${node}`, { metadata: { labels: { [label]: null } } });
    }
  });
});

/** Gives each node so much of a resource that only tests know, and takes it away at the end. */
async function withResource(resource: string, amount: string, body: (nodes: string[]) => Promise<void>): Promise<void> {
  const nodes = await nodeNames();
  const set = (value: string | null): Promise<unknown> =>
    Promise.all(
      nodes.map(node =>
        must('PATCH', `/api/v1/nodes/${node}/status`, { status: { capacity: { [resource]: value } } }, 'strategic'),
      ),
    );
  await set(amount);
  try {
    for (const node of nodes)
      await until<Node>(`/api/v1/nodes/${node}`, ({ status }) => {
        expect(status?.capacity?.[resource]).toBe(amount);
        expect(status?.allocatable?.[resource]).toBe(amount);
      });
    await body(nodes);
  } finally {
    await set(null);
  }
}

const wants = (resource: string, amount: string): object => ({
  resources: { requests: { [resource]: amount }, limits: { [resource]: amount } },
});

test.concurrent('a pod beyond what the nodes have left waits, and says of what there is too little', async () => {
  await inNamespace('limits', async path => {
    await withResource('example.com/beardsecond', '1k', async nodes => {
      const filler = (node: string): Promise<Loose> =>
        must(
          'POST',
          `${path}/pods`,
          idlePod(`filler-${node}`, { nodeName: node }, wants('example.com/beardsecond', '700')),
        );
      await Promise.all(nodes.map(filler));
      await Promise.all(nodes.map(node => until<Pod>(`${path}/pods/filler-${node}`, running)));
      await must('POST', `${path}/pods`, idlePod('additional-pod', {}, wants('example.com/beardsecond', '500')));
      await refused(path, 'additional-pod', /Insufficient example.com\/beardsecond/);
    });
  });
});

test.concurrent(
  'a host port is given again for another address or protocol, and to nobody beside 0.0.0.0',
  async () => {
    await inNamespace('hostport', async path => {
      const [node = ''] = await nodeNames();
      const { status } = await must<Node>('GET', `/api/v1/nodes/${node}`);
      const address = status?.addresses?.find(({ type }) => type === 'InternalIP')?.address ?? '';
      const withPort = (
        name: string,
        hostPort: number,
        hostIP: string | undefined,
        protocol = 'TCP',
      ): Promise<Loose> => {
        const port = { containerPort: 8080, hostPort, protocol, ...(hostIP ? { hostIP } : {}) };
        const nodeSelector = { 'kubernetes.io/hostname': node };
        return must('POST', `${path}/pods`, idlePod(name, { nodeSelector }, { ports: [port] }));
      };
      await Promise.all([
        withPort('pod1', 54323, '127.0.0.1'),
        withPort('pod2', 54323, address),
        withPort('pod3', 54323, address, 'UDP'),
        withPort('pod4', 54322, undefined),
      ]);
      for (const name of ['pod1', 'pod2', 'pod3', 'pod4']) await until<Pod>(`${path}/pods/${name}`, running);
      await withPort('pod5', 54322, address);
      await refused(path, 'pod5', /didn't have free ports for the requested pod ports/);
    });
  },
);

const priorities = { 'e2e-low': 1, 'e2e-medium': 500, 'e2e-high': 1000 };

async function withPriorities(
  prefix: string,
  body: (className: (level: string) => string) => Promise<void>,
): Promise<void> {
  const url = '/apis/scheduling.k8s.io/v1/priorityclasses';
  const names = Object.keys(priorities);
  for (const name of names)
    await must('POST', url, { metadata: { name: `${prefix}-${name}` }, value: priorities[name as 'e2e-low'] });
  try {
    await body(level => `${prefix}-e2e-${level}`);
  } finally {
    for (const name of names) await ask('DELETE', `${url}/${prefix}-${name}`);
  }
}

test.concurrent(
  'a pod of high priority takes the place of the lowest, which is told, and a critical one too',
  async () => {
    await inNamespace('preempt', async path => {
      const resource = 'scheduling.k8s.io/foo';
      await withPriorities('basic', className =>
        withResource(resource, '5', async ([node = '']) => {
          const victim = (name: string, level: string): Promise<Loose> => {
            const pod = idlePod(
              name,
              {
                priorityClassName: className(level),
                nodeSelector: { 'kubernetes.io/hostname': node },
                // With 0 the object would be gone before the container is, and the node would refuse the next pod.
                terminationGracePeriodSeconds: 1,
              },
              wants(resource, '2'),
            );
            // Held, so that what it was told can be read when it has gone.
            return must('POST', `${path}/pods`, {
              ...pod,
              metadata: { name, finalizers: ['example.com/test-finalizer'] },
            });
          };
          await Promise.all([victim('low', 'low'), victim('medium', 'medium')]);
          for (const name of ['low', 'medium']) await until<Pod>(`${path}/pods/${name}`, running);
          const preemptor = (name: string, priorityClassName: string, amount: string): Pod =>
            idlePod(
              name,
              { priorityClassName, nodeSelector: { 'kubernetes.io/hostname': node } },
              wants(resource, amount),
            );
          const told = (name: string): Promise<Pod> =>
            until<Pod>(`${path}/pods/${name}`, ({ metadata, status }) => {
              expect(metadata?.deletionTimestamp).toBeDefined();
              const condition = { type: 'DisruptionTarget', status: 'True', reason: 'PreemptionByScheduler' };
              expect(status?.conditions).toContainEqual(expect.objectContaining(condition));
            });
          const release = (name: string): Promise<Loose> =>
            must('PATCH', `${path}/pods/${name}`, { metadata: { finalizers: null } });
          await must('POST', `${path}/pods`, preemptor('preemptor', className('high'), '2'));
          await told('low');
          await release('low');
          await until<Pod>(`${path}/pods/preemptor`, running);
          const spared = await must<Pod>('GET', `${path}/pods/medium`);
          expect(spared.metadata?.deletionTimestamp).toBeUndefined();

          // A critical one may be in kube-system only.
          const system = '/api/v1/namespaces/kube-system/pods';
          const critical = preemptor('e2e-critical', 'system-cluster-critical', '2');
          await must('POST', system, { ...critical, metadata: { name: 'e2e-critical' } });
          try {
            await told('medium');
            await release('medium');
            await until<Pod>(`${system}/e2e-critical`, running);
            expect((await must<Pod>('GET', `${path}/pods/preemptor`)).metadata?.deletionTimestamp).toBeUndefined();
          } finally {
            await ask('DELETE', `${system}/e2e-critical`);
          }
        }),
      );
    });
  },
);

test.concurrent('replica sets of rising priority take the place of each other, the lowest first', async () => {
  await inNamespace('path', async (path, namespace) => {
    const resource = 'example.com/fakecpu';
    const sets = `/apis/apps/v1/namespaces/${namespace}/replicasets`;
    await withPriorities('path', className =>
      withResource(resource, '1k', async ([node = '']) => {
        const create = (name: string, replicas: number, level: string, amount: string): Promise<Loose> => {
          const labels = { name };
          const nodeSelector = { 'kubernetes.io/hostname': node };
          const place = { priorityClassName: className(level), nodeSelector, terminationGracePeriodSeconds: 1 };
          const spec = idleSpec(place, wants(resource, amount));
          return must('POST', sets, {
            metadata: { name },
            spec: { replicas, selector: { matchLabels: labels }, template: { metadata: { labels }, spec } },
          });
        };
        const available = (name: string, count: number): Promise<Loose> =>
          until(`${sets}/${name}`, ({ status }) => expect(status.availableReplicas ?? 0).toBe(count));
        await create('rs-pod1', 5, 'low', '100');
        await available('rs-pod1', 5);
        await create('rs-pod2', 2, 'medium', '200');
        await available('rs-pod2', 2);
        // Of 1000 there are 900 taken: each of these needs as much as all of the lowest and more, at once.
        await create('rs-pod3', 1, 'high', '600');
        await available('rs-pod3', 1);
        await available('rs-pod1', 0);
        await available('rs-pod2', 2);
      }),
    );
    await eventually(
      async () => {
        const { items } = await must<{ items: Pod[] }>('GET', `${path}/pods`);
        expect(items.filter(({ metadata }) => metadata?.labels?.['name'] === 'rs-pod2')).toHaveLength(2);
      },
      90_000,
      200,
    );
  });
});

test('no node of the cluster keeps pods away: it has two for them', async () => {
  await until<{ items: Node[] }>('/api/v1/nodes', ({ items }) => {
    const open = items.filter(
      ({ spec, status }) =>
        !spec?.unschedulable &&
        !spec?.taints?.length &&
        status?.conditions?.some(({ type, status: value }) => type === 'Ready' && value === 'True'),
    );
    expect(open.length).toBeGreaterThanOrEqual(2);
  });
  await untilGone('/api/v1/namespaces/kube-system/pods/e2e-critical');
});
