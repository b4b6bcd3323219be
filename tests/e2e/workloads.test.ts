import type { Node, Pod, Service } from '@naru/api';
import { eventually } from '@naru/testing';
import { apply, ask, askJson, follow, kubectl, run } from './cluster';
import { applyExample, deleteExample } from './web-example';

interface List<T> {
  items: T[];
}

async function nodeAddresses(): Promise<string[]> {
  const { items } = await askJson<List<Node>>('get', 'nodes');
  return items.map(node => node.status?.addresses?.find(address => address.type === 'InternalIP')?.address ?? '');
}

/** Asks `url` a number of times and collects the distinct answers. */
async function answers(url: string, times: number): Promise<Set<string>> {
  const seen = new Set<string>();
  for (let i = 0; i < times; i++) seen.add((await run('curl', ['-sf', '--max-time', '5', url])).stdout.trim());
  return seen;
}

beforeAll(applyExample);
afterAll(deleteExample);

test('three nodes are Ready', async () => {
  // On a busy machine one may be silent for long.
  await eventually(async () => {
    const { items } = await askJson<List<Node>>('get', 'nodes');
    const ready = items.map(({ status }) => status?.conditions?.find(({ type }) => type === 'Ready')?.status);
    expect(ready).toEqual(['True', 'True', 'True']);
  });
});

test('the pods of the example run on several nodes', async () => {
  const { items } = await askJson<List<Pod>>('get', 'pods', '-l', 'app=web');
  expect(items.map(pod => pod.status?.phase)).toEqual(['Running', 'Running', 'Running']);
  expect(new Set(items.map(pod => pod.spec?.nodeName)).size).toBeGreaterThan(1);
});

test('the node port answers from several pods, at any node', async () => {
  const service = await askJson<Service>('get', 'service', 'web');
  const port = service.spec?.ports?.[0]?.nodePort;
  for (const address of await nodeAddresses()) {
    await eventually(async () => {
      const seen = await answers(`http://${address}:${port}/`, 20);
      expect(seen.size).toBeGreaterThan(1);
    });
  }
});

test('the cluster address answers from inside a pod', async () => {
  const service = await askJson<Service>('get', 'service', 'web');
  const pod = await ask('get', 'pods', '-l', 'app=web', '-o', 'jsonpath={.items[0].metadata.name}');
  const { ports, clusterIP } = service.spec ?? {};
  const url = `http://${clusterIP}:${ports?.[0]?.port}/`;
  const answer = await eventually(() => ask('exec', pod, '--', 'timeout', '5', 'wget', '-qO-', url));
  expect(answer).toMatch(/web-/);
});

test('scale, restart and undo reach what was asked for', async () => {
  await kubectl(['scale', 'deployment/web', '--replicas=6']);
  await kubectl(['rollout', 'status', 'deployment/web', '--timeout=120s']);
  await eventually(async () =>
    expect(await ask('get', 'deployment', 'web', '-o', 'jsonpath={.status.readyReplicas}')).toBe('6'),
  );
  await kubectl(['rollout', 'restart', 'deployment/web']);
  await kubectl(['rollout', 'status', 'deployment/web', '--timeout=120s']);
  const restarted = await ask(
    'get',
    'deployment',
    'web',
    '-o',
    'jsonpath={.metadata.annotations.deployment\\.kubernetes\\.io/revision}',
  );
  expect(restarted).toBe('2');
  await kubectl(['rollout', 'undo', 'deployment/web']);
  await kubectl(['rollout', 'status', 'deployment/web', '--timeout=120s']);
  const undone = await ask(
    'get',
    'deployment',
    'web',
    '-o',
    'jsonpath={.metadata.annotations.deployment\\.kubernetes\\.io/revision}',
  );
  expect(undone).toBe('3');
  await kubectl(['scale', 'deployment/web', '--replicas=3']);
  await eventually(async () =>
    expect((await askJson<List<Pod>>('get', 'pods', '-l', 'app=web')).items).toHaveLength(3),
  );
});

test('exec runs in the container, with its exit code and both streams', async () => {
  const pod = await ask('get', 'pods', '-l', 'app=web', '-o', 'jsonpath={.items[0].metadata.name}');
  const both = await kubectl(['exec', pod, '--', 'sh', '-c', 'echo out; echo err >&2; exit 7'], { anyCode: true });
  expect(both).toMatchObject({ code: 7, stdout: 'out\n' });
  expect(both.stderr).toMatch(/^err\n/);
  const echoed = await kubectl(['exec', '-i', pod, '--', 'cat'], { input: 'through the pipe' });
  expect(echoed.stdout).toBe('through the pipe');
});

test('logs -f shows lines as they are written', async () => {
  await apply(`
apiVersion: v1
kind: Pod
metadata: { name: ticker }
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: main
    image: naru.dev/web:v1
    imagePullPolicy: Never
    command: [sh, -c, 'i=0; while true; do i=$((i+1)); echo tick $i; sleep 0.2; done']
`);
  await kubectl(['wait', '--for=condition=Ready', 'pod/ticker', '--timeout=120s']);
  const { child, output } = follow(['logs', '-f', 'ticker']);
  try {
    await eventually(() => expect(output()).toMatch(/tick 1\n(.*\n)*tick 5\n/));
  } finally {
    child.kill();
    await kubectl(['delete', 'pod', 'ticker']);
  }
});

test('label, annotate, edit, describe and get -o wide behave', async () => {
  await kubectl(['label', 'deployment/web', 'team=ferry']);
  await kubectl(['annotate', 'deployment/web', 'note=hello']);
  await kubectl(['edit', 'deployment/web'], { env: { KUBE_EDITOR: "sed -i 's/note: hello/note: edited/'" } });
  expect(
    await ask('get', 'deployment', 'web', '-o', 'jsonpath={.metadata.labels.team} {.metadata.annotations.note}'),
  ).toBe('ferry edited');
  expect(await ask('describe', 'deployment', 'web')).toMatch(/ScalingReplicaSet/);
  expect(await ask('get', 'pods', '-o', 'wide')).toMatch(/NAME +READY +STATUS +RESTARTS +AGE +IP +NODE/);
});

test('drain moves the pods away and uncordon lets them come back', async () => {
  const node = await ask('get', 'pods', '-l', 'app=web', '-o', 'jsonpath={.items[0].spec.nodeName}');
  try {
    // What earlier tests have left there may be of a kind that is not drained without force.
    await kubectl(['drain', node, '--pod-selector=app=web', '--ignore-daemonsets', '--timeout=120s']);
    expect(await ask('get', 'node', node)).toMatch(/Ready,SchedulingDisabled/);
    await kubectl(['rollout', 'status', 'deployment/web', '--timeout=120s']);
    const { items } = await askJson<List<Pod>>('get', 'pods', '-l', 'app=web');
    expect(items.filter(pod => pod.spec?.nodeName === node && !pod.metadata?.deletionTimestamp)).toEqual([]);
  } finally {
    await kubectl(['uncordon', node]);
  }
});

test('deleting the namespace removes what is in it', async () => {
  await kubectl(['create', 'namespace', 'short-lived']);
  await kubectl(['-n', 'short-lived', 'create', 'configmap', 'c', '--from-literal=a=b']);
  await kubectl(['-n', 'short-lived', 'create', 'deployment', 'd', '--image=naru.dev/web:v1']);
  await kubectl(['delete', 'namespace', 'short-lived', '--timeout=120s']);
  expect((await kubectl(['get', 'namespace', 'short-lived'], { anyCode: true })).stderr).toMatch(/not found/);
});
