import { writeFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { isIPv6 } from 'node:net';
import path from 'node:path';
import type { EndpointSlice, Node, Pod, Service } from '@naru/api';
import { eventually } from '@naru/testing';
import { repository, run, type Outcome } from '../cluster';
import { DockerDaemon } from './docker';

interface List<T> {
  items: T[];
}

const example = path.join(repository, 'examples/web/web.yaml');
const scratch = mkdtempSync(path.join(tmpdir(), 'naru-compose-'));
const kubeconfig = path.join(scratch, 'kubeconfig');
let daemon: DockerDaemon;

const kubectl = (args: string[], anyCode = false): Promise<Outcome> =>
  run('kubectl', args, { timeoutMs: 200_000, anyCode, env: { KUBECONFIG: kubeconfig } });
const askJson = async <T>(...args: string[]): Promise<T> =>
  JSON.parse((await kubectl([...args, '-o', 'json'])).stdout) as T;
const workers = async (): Promise<string[]> =>
  (await daemon.compose(['ps', '-q', 'worker'])).stdout.trim().split('\n').filter(Boolean);
const conditionOf = (object: Node | Pod, wanted: string): string | undefined =>
  object.status?.conditions?.find(({ type }) => type === wanted)?.status;
const nodes = async (): Promise<Node[]> => (await askJson<List<Node>>('get', 'nodes')).items;
/** Those that pods are scheduled to: a node keeps the taint of one that is not ready for a moment after it is. */
const readyNodes = async (): Promise<Node[]> =>
  (await nodes()).filter(node => conditionOf(node, 'Ready') === 'True' && !node.spec?.taints?.length);
const readyPods = async (): Promise<Pod[]> =>
  (await askJson<List<Pod>>('get', 'pods', '-l', 'app=web')).items.filter(
    pod => !pod.metadata?.deletionTimestamp && conditionOf(pod, 'Ready') === 'True',
  );
const scaleTo = (count: number): Promise<Outcome> =>
  daemon.compose(['up', '-d', '--no-build', '--scale', `worker=${count}`]);

const internalIps = ({ status }: Node): string[] =>
  (status?.addresses ?? []).filter(({ type }) => type === 'InternalIP').map(({ address }) => address);

/** This machine is busy with other tests, and what is waited for may take as long as a lease and several timeouts besides. */
const soon = <T>(check: () => T | Promise<T>): Promise<T> => eventually(check, 180_000, 300);

/** The example answers at every address of every ready node, as soon as the last of them knows where the pods are. */
async function answersEverywhere(): Promise<void> {
  const port = (await askJson<Service>('get', 'service', 'web')).spec?.ports?.[0]?.nodePort;
  await soon(async () => {
    const addresses = (await readyNodes()).flatMap(internalIps);
    expect(addresses).not.toEqual([]);
    for (const address of addresses) {
      const target = `http://${isIPv6(address) ? `[${address}]` : address}:${port}/`;
      const { stdout } = await run('curl', ['-sf', '--globoff', '--max-time', '5', target]);
      expect(stdout).toMatch(/web-/);
    }
  });
}

/** Has the administrator's way in, once the cluster has `count` nodes. */
async function startWorkers(count: number): Promise<void> {
  await scaleTo(count);
  const { stdout } = await daemon.compose(['exec', '-T', 'api-server', 'naru', 'kubeconfig', '--print']);
  writeFileSync(kubeconfig, stdout, { mode: 0o600 });
  await soon(async () => expect(await readyNodes()).toHaveLength(count));
}

beforeAll(async () => {
  daemon = await DockerDaemon.start();
  const image = `node:naru-test-base`;
  await run(path.join(__dirname, 'compose-plugin.sh'), [daemon.configFolder], { timeoutMs: 300_000 });
  await run(path.join(__dirname, 'base-image.sh'), [image], { timeoutMs: 300_000, env: daemon.environment });
  const options = ['--network', 'host', '--build-arg', `BASE_IMAGE=${image}`, '-t', 'naru:dev'];
  await daemon.docker(['build', ...options, repository], { timeoutMs: 900_000 });
  await run(path.join(repository, 'examples/web/build-image'), []);
}, 1_200_000);

afterAll(async () => {
  await daemon?.compose(['down', '--volumes', '--timeout', '5'], { anyCode: true });
  await daemon?.stop();
  rmSync(scratch, { recursive: true, force: true });
});

test('compose up with three workers is a cluster of three nodes that runs the example', async () => {
  await startWorkers(3);
  await soon(() => kubectl(['apply', '-f', example]));
  await kubectl(['rollout', 'status', 'deployment/web', '--timeout=180s']);
  expect(new Set((await readyPods()).map(pod => pod.spec?.nodeName)).size).toBeGreaterThan(1);
  await answersEverywhere();
  const [pod] = await readyPods();
  const { stdout: answer } = await kubectl(['exec', pod?.metadata?.name ?? '', '--', 'echo', 'inside']);
  expect(answer).toBe('inside\n');
});

test('names are resolved in pods, by two DNS processes', async () => {
  await soon(async () => {
    const { items } = await askJson<List<EndpointSlice>>(
      '-n',
      'kube-system',
      'get',
      'endpointslices',
      '-l',
      'kubernetes.io/service-name=kube-dns',
    );
    expect(new Set(items.flatMap(({ endpoints }) => endpoints?.[0]?.addresses ?? [])).size).toBe(2);
  });
  const [pod] = await readyPods();
  const name = pod?.metadata?.name ?? '';
  const address = (await askJson<Service>('get', 'service', 'web')).spec?.clusterIP ?? '';
  // So often one after the other that both are met: an answer may get lost, but not those of one of them each time.
  const lookups = `for i in $(seq 20); do nslookup -type=A web.default.svc.cluster.local || exit 1; done`;
  await soon(async () => {
    const { stdout } = await kubectl(['exec', name, '--', 'sh', '-c', lookups]);
    expect(stdout.split('\n').filter(line => line === `Address: ${address}`)).toHaveLength(20);
  });
});

test('a worker runs pods with user namespaces of their own', async () => {
  const spec = {
    hostUsers: false,
    terminationGracePeriodSeconds: 1,
    volumes: [{ name: 'data', emptyDir: {} }],
    containers: [
      {
        name: 'main',
        image: 'naru.dev/web:v1',
        imagePullPolicy: 'Never',
        command: ['sleep', '1000'],
        securityContext: { runAsUser: 0 },
        volumeMounts: [{ name: 'data', mountPath: '/data' }],
      },
    ],
  };
  const file = path.join(scratch, 'apart.json');
  writeFileSync(file, JSON.stringify({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'apart' }, spec }));
  await kubectl(['apply', '-f', file]);
  await kubectl(['wait', '--for=condition=Ready', 'pod/apart', '--timeout=180s']);
  const script = 'touch /data/mine; stat -c %u /data/mine; cat /proc/self/uid_map';
  const { stdout } = await kubectl(['exec', 'apart', '--', 'sh', '-c', script]);
  expect(stdout).toMatch(/^0\n\s+0\s+[1-9]\d+\s+65536\n$/);
  await kubectl(['delete', '-f', file]);
});

test('workers come and go by scale, and the Node of a removed one goes away', async () => {
  await scaleTo(4);
  await soon(async () => expect(await readyNodes()).toHaveLength(4));
  await scaleTo(2);
  await soon(async () => expect(await nodes()).toHaveLength(2));
  await soon(async () => expect(await readyPods()).toHaveLength(3));
  await answersEverywhere();
});

test('a worker that is killed heals, and comes back as the same node', async () => {
  const before = (await nodes()).map(({ metadata }) => metadata?.name).sort();
  const [victim = ''] = await workers();
  await daemon.docker(['kill', victim]);
  await soon(async () => expect(await readyNodes()).toHaveLength(1));
  await soon(async () => {
    const [survivor] = await readyNodes();
    const pods = await readyPods();
    expect(pods).toHaveLength(3);
    expect(new Set(pods.map(pod => pod.spec?.nodeName))).toEqual(new Set([survivor?.metadata?.name]));
  });
  await answersEverywhere();
  await daemon.docker(['start', victim]);
  await soon(async () => expect((await readyNodes()).map(({ metadata }) => metadata?.name).sort()).toEqual(before));
});

test('stop and start bring the cluster and its workloads back', async () => {
  await daemon.compose(['stop', '--timeout', '10']);
  await daemon.compose(['start']);
  await soon(async () => expect(await readyNodes()).toHaveLength(2));
  await soon(async () => expect(await readyPods()).toHaveLength(3));
  await answersEverywhere();
});

test('with NARU_IPV6 nodes, pods and Services have addresses of both families, and are reached by both', async () => {
  await daemon.compose(['down', '--volumes', '--timeout', '5']);
  daemon.environment['NARU_IPV6'] = 'true';
  await startWorkers(2);
  for (const node of await nodes()) expect(internalIps(node).map(isIPv6)).toEqual([false, true]);
  await soon(() => kubectl(['apply', '-f', example]));
  await kubectl(['rollout', 'status', 'deployment/web', '--timeout=180s']);
  await kubectl(['patch', 'service', 'web', '-p', '{"spec":{"ipFamilyPolicy":"RequireDualStack"}}']);
  const { spec } = await askJson<Service>('get', 'service', 'web');
  expect(spec?.clusterIPs?.map(isIPv6)).toEqual([false, true]);
  await answersEverywhere();
  const [from] = await readyPods();
  const ask = (target: string): Promise<Outcome> =>
    kubectl(['exec', from?.metadata?.name ?? '', '--', 'wget', '-qO-', target]);
  for (const pod of await readyPods())
    for (const { ip } of pod.status?.podIPs ?? []) await soon(() => ask(`http://${isIPv6(ip) ? `[${ip}]` : ip}:8080/`));
  const servers = (await askJson<Service>('-n', 'kube-system', 'get', 'service', 'kube-dns')).spec?.clusterIPs ?? [];
  expect(servers.map(isIPv6)).toEqual([false, true]);
  const lookup = ['exec', from?.metadata?.name ?? '', '--', 'nslookup', '-type=AAAA', 'web.default.svc.cluster.local'];
  for (const server of servers) {
    const { stdout } = await soon(() => kubectl([...lookup, server]));
    expect(stdout).toContain(`Address: ${spec?.clusterIPs?.[1]}`);
  }
});
