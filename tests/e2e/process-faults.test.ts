import type { Pod } from '@naru/api';
import { eventually } from '@naru/testing';
import { apply, ask, askJson, kubectl, runtimeProcess } from './cluster';
import { findProcess, killAndRecover, processes } from './processes';

const steadyPod = `
apiVersion: v1
kind: Pod
metadata: { name: steady, labels: { app: steady } }
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: main
    image: naru.dev/web:v1
    command: [sh, -c, 'while true; do date +%s; sleep 0.1; done']
`;

const identity = async (): Promise<unknown> => {
  const pod = await askJson<Pod>('get', 'pod', 'steady');
  const [container] = pod.status?.containerStatuses ?? [];
  return { id: container?.containerID, restarts: container?.restartCount, since: container?.state?.running?.startedAt };
};

let node = '';
let before: unknown;

beforeAll(async () => {
  await apply(steadyPod);
  await kubectl(['wait', '--for=condition=Ready', 'pod/steady', '--timeout=120s']);
  node = await ask('get', 'pod', 'steady', '-o', 'jsonpath={.spec.nodeName}');
  before = await identity();
});

afterAll(async () => {
  await kubectl(['delete', 'pod', 'steady', '--ignore-not-found']);
});

/** A new pod becomes ready on the node: every process on its way works. */
async function startsPods(): Promise<void> {
  const name = `probe-${Date.now()}`;
  await apply(`
apiVersion: v1
kind: Pod
metadata: { name: ${name} }
spec:
  terminationGracePeriodSeconds: 0
  nodeSelector: { kubernetes.io/hostname: ${node} }
  containers: [{ name: main, image: 'naru.dev/web:v1', command: [sleep, '600'] }]
`);
  await kubectl(['wait', '--for=condition=Ready', `pod/${name}`, '--timeout=120s']);
  await kubectl(['delete', 'pod', name, '--timeout=120s']);
}

describe.each(['nats', 'api-server', 'scheduler', 'controller-manager'])('kill -9 of %s', name => {
  test('is followed by a new process, and pods start again', async () => {
    await killAndRecover(name);
    await startsPods();
    expect(await identity()).toEqual(before);
  });
});

describe.each([runtimeProcess, 'kubelet', 'kube-proxy'])('kill -9 of %s on a node', name => {
  test('leaves the containers running, whose logs and exec go on', async () => {
    await killAndRecover(name, node);
    const recovered = Math.ceil(Date.now() / 1000);
    await startsPods();
    expect(await identity()).toEqual(before);
    await eventually(async () => {
      const [last] = (await ask('logs', 'steady', '--tail=1')).split('\n');
      expect(Number(last)).toBeGreaterThanOrEqual(recovered);
    });
    expect(await ask('exec', 'steady', '--', 'echo', 'alive')).toBe('alive');
  });
});

test('no write that the api-server acknowledged is lost when it is killed', async () => {
  await kubectl(['create', 'namespace', 'durable']);
  const acknowledged: string[] = [];
  let killed = false;
  const write = async (worker: number): Promise<void> => {
    for (let i = 0; i < 15; i++) {
      const name = `c-${worker}-${i}`;
      const { code } = await kubectl(['-n', 'durable', 'create', 'configmap', name], { anyCode: true });
      if (code === 0) acknowledged.push(name);
      if (!killed && acknowledged.length > 20) {
        killed = true;
        process.kill(findProcess(await processes(), 'api-server').pid as number, 'SIGKILL');
      }
    }
  };
  await Promise.all([0, 1, 2, 3].map(write));
  expect(killed).toBe(true);
  const stored = await eventually(() => ask('-n', 'durable', 'get', 'configmaps', '-o', 'name'), 90_000, 200);
  const names = new Set(stored.split('\n').map(line => line.replace('configmap/', '')));
  expect(acknowledged.filter(name => !names.has(name))).toEqual([]);
  await kubectl(['delete', 'namespace', 'durable', '--wait=false']);
});
