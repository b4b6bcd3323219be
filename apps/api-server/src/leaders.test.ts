import type { ChildProcess } from 'node:child_process';
import type { Lease, Pod } from '@naru/api';
import { silentLogger, systemClock } from '@naru/foundation';
import { freePort, NatsTestServer } from '@naru/testing';
import { FeedPublisher } from './feed/publisher';
import { mergePatch, okJson } from './testing/expect-reply';
import { ShippedPrograms } from './testing/shipped-programs';
import { eventually, startTestServer, type TestServer } from './testing/test-server';
import { watch } from './testing/watch';

// Two schedulers and two controller-managers, as whole processes, against an api-server and its bus.
const names = ['scheduler', 'controller-manager'] as const;
type Name = (typeof names)[number];

let bus: NatsTestServer;
let feed: FeedPublisher;
let server: TestServer;
const programs = new ShippedPrograms(...names);

beforeAll(async () => {
  bus = await NatsTestServer.start();
  feed = new FeedPublisher({ connection: { servers: bus.url }, logger: silentLogger, clock: systemClock });
  feed.start();
  server = await startTestServer({ publish: events => feed.publish(events) });
});
afterAll(async () => {
  programs.close();
  await feed.close();
  await server.close();
  await bus.stop();
});

interface Candidate {
  /** Its port is a part of the identity by which it holds the lease. */
  port: number;
  process: ChildProcess;
}

async function startCandidate(name: Name): Promise<Candidate> {
  const { files, grpcPort } = server;
  const port = await freePort();
  const flags = [
    `--api-server=127.0.0.1:${grpcPort}`,
    `--nats=${bus.url}`,
    `--ca=${files.ca}`,
    `--certificate=${files.certificate(name)}`,
    `--key=${files.key(name)}`,
    `--health-address=127.0.0.1:${port}`,
  ];
  return { port, process: programs.start(name, flags) };
}

const leases = '/apis/coordination.k8s.io/v1/namespaces/kube-system/leases';

/** Which of the candidates holds the lease. */
function leaderOf(name: Name, candidates: readonly Candidate[]): Promise<Candidate> {
  return eventually(async () => {
    const { code, json } = await server.call('GET', `${leases}/kube-${name}`);
    const holder = code === 200 ? (json as Lease).spec?.holderIdentity : undefined;
    return candidates.find(({ port }) => holder?.endsWith(`_${port}`));
  });
}

const nodeCount = 8;
const perNode = 30;
const labels = { app: 'steady' };
const sets = '/apis/apps/v1/namespaces/default/replicasets';

async function makeNodes(): Promise<void> {
  const amounts = { cpu: '64', memory: '64Gi', pods: String(perNode) };
  for (let i = 0; i < nodeCount; i++)
    await okJson(
      server.call('POST', '/api/v1/nodes', {
        metadata: { name: `n${i}` },
        status: { capacity: amounts, allocatable: amounts, conditions: [{ type: 'Ready', status: 'True' }] },
      }),
      201,
    );
}

test('when the leading scheduler and controller-manager are killed the others go on: no pod is lost, doubled or moved', async () => {
  await makeNodes();
  const candidates = await Promise.all(
    names.map(async name => ({ name, all: [await startCandidate(name), await startCandidate(name)] })),
  );
  const leaders = await Promise.all(candidates.map(async ({ name, all }) => leaderOf(name, all)));
  await eventually(
    async () => (await server.call('GET', '/api/v1/namespaces/default/serviceaccounts/default')).code === 200,
  );

  // Every place that a pod was ever seen at.
  const places = new Map<string, Set<string>>();
  const watched = watch(server, '/api/v1/namespaces/default/pods');
  const look = (): void => {
    for (const { type, object } of watched.events.splice(0)) {
      const { metadata, spec } = object as Pod;
      if (type === 'DELETED') continue;
      const seen = places.get(metadata?.uid ?? '') ?? new Set();
      if (spec?.nodeName) seen.add(spec.nodeName);
      places.set(metadata?.uid ?? '', seen);
    }
  };
  const bound = (): number => [...places.values()].filter(({ size }) => size > 0).length;
  const replicas = nodeCount * perNode;
  // Nodes without a kubelet fall silent; their pods stay.
  const spec = { containers: [{ name: 'c', image: 'i' }], tolerations: [{ operator: 'Exists' }] };
  const set = {
    metadata: { name: 'steady' },
    spec: { replicas: replicas - 40, selector: { matchLabels: labels }, template: { metadata: { labels }, spec } },
  };
  await okJson(server.call('POST', sets, set), 201);
  await eventually(() => {
    look();
    return bound() >= 10;
  });
  for (const { process } of leaders) process.kill('SIGKILL');
  // More is wanted while nobody leads.
  await okJson(server.call('PATCH', `${sets}/steady`, { spec: { replicas } }, mergePatch));
  const next = await Promise.all(
    candidates.map(({ name, all }, i) =>
      leaderOf(
        name,
        all.filter(candidate => candidate !== leaders[i]),
      ),
    ),
  );
  expect(next).not.toEqual(expect.arrayContaining(leaders));
  await eventually(() => {
    look();
    return bound() === replicas;
  }).catch((cause: unknown) => {
    throw new Error(`${bound()} pods were bound; the processes said:\n${programs.log}`, { cause });
  });
  await eventually(async () => {
    const { json } = await server.call('GET', `${sets}/steady`);
    return json['status'].replicas === replicas && json['status'].observedGeneration === json['metadata'].generation;
  });
  look();
  watched.stop();
  // None was made beside those that were wanted, and each has been at one place: every node is exactly full.
  expect(places.size).toBe(replicas);
  const counts: Record<string, number> = {};
  for (const seen of places.values()) {
    expect(seen.size).toBe(1);
    for (const node of seen) counts[node] = (counts[node] ?? 0) + 1;
  }
  expect(Object.values(counts)).toEqual(Array.from({ length: nodeCount }, () => perNode));
});
