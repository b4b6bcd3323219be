import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { Node, Pod } from '@naru/api';
import { eventually } from '@naru/testing';
import { apply, ask, askJson, createNamespace, kubeconfig, kubectl, naru, run } from './cluster';
import { podCases } from './conformance/node-pod-cases';
import { PodCaseRun } from './conformance/pod-case-run';
import { killAndRecover } from './processes';
import { startRegistry, type Registry } from './registry';

// A node with containerd among those with our runtime. All tests of nodes run on such ones alone with NARU_E2E_RUNTIME=containerd.
const node = 'on-containerd';
const namespace = 'containerd';
const inNamespace = (...args: string[]): string[] => ['-n', namespace, ...args];
const nodeSelector = { 'kubernetes.io/hostname': node };

/** Those in which the runtime has the most to do. */
const chosen = [
  'expands variables in a subPathExpr and writes there',
  'runs as the user and group of its pod',
  'that is not privileged makes no network interfaces',
  'does not write to a read-only root',
  'stays who it is when privilege escalation is not allowed',
  'has the safe sysctls of its pod',
  'says a last word in a file of its own, as a user who is not root',
  'is started again after a failure only with the policy OnFailure',
  'that is not restarted runs after its init containers',
  'has the hosts file of the node, and says so, on the node’s network',
];
const cases = podCases.filter(({ name }) => chosen.includes(name));

const web = (name: string, where: string): string => `
apiVersion: v1
kind: Pod
metadata: { name: ${name}, labels: { app: web } }
spec:
  nodeSelector: { kubernetes.io/hostname: ${where} }
  terminationGracePeriodSeconds: 0
  containers:
  - name: main
    image: naru.dev/web:v1
    imagePullPolicy: Never
    ports: [{ name: http, containerPort: 8080, hostPort: 18280 }]
    readinessProbe: { httpGet: { port: http, path: /healthz }, periodSeconds: 1 }
    volumeMounts: [{ name: shared, mountPath: /shared }]
  - name: reader
    image: naru.dev/web:v1
    imagePullPolicy: Never
    stdin: true
    command: [sh, -c, 'while read line; do echo "got $line" | tee -a /shared/lines; done']
    volumeMounts: [{ name: shared, mountPath: /shared }]
  volumes: [{ name: shared, emptyDir: {} }]
---`;
const service = `
apiVersion: v1
kind: Service
metadata: { name: web }
spec: { selector: { app: web }, ports: [{ port: 80, targetPort: http }] }
`;

const puller = (name: string, where: string, images: string[]): object => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name },
  spec: {
    nodeSelector: { 'kubernetes.io/hostname': where },
    terminationGracePeriodSeconds: 0,
    containers: images.map((image, index) => ({ name: `c${index}`, image })),
  },
});

let registry: Registry | undefined;
let caseRun: PodCaseRun | undefined;
let folder = '';

beforeAll(async () => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'naru-containerd-'));
  await naru(['node', 'add', node, '--container-runtime', 'containerd']);
  await naru(['image', 'load', 'examples/web/web.tar', 'tests/e2e/conformance/image/conformance.tar']);
  await createNamespace(namespace);
  await apply(web('here', node) + web('there', 'worker-1') + service, '-n', namespace);
  registry = await startRegistry();
  const { images } = registry;
  const pullers = ['worker-1', node].map(where => JSON.stringify(puller(`pulls-on-${where}`, where, images)));
  await apply(pullers.join('\n'), '-n', namespace);
  caseRun = await PodCaseRun.start('containerd-cases', cases, { nodeSelector });
  const wait = inNamespace('wait', '--for=condition=Ready', 'pod/here', 'pod/there', '--timeout=150s');
  await kubectl(wait, { timeoutMs: 160_000 });
});
afterAll(async () => {
  try {
    await registry?.stop();
    await caseRun?.end();
  } finally {
    await kubectl(['delete', 'namespace', namespace, '--wait=false'], { anyCode: true });
    // Other tests count the nodes.
    await naru(['node', 'remove', node], { anyCode: true });
    rmSync(folder, { recursive: true, force: true });
  }
});

test('a node with containerd is one among others', async () => {
  const { status } = await askJson<Node>('get', 'node', node);
  expect(status?.nodeInfo?.containerRuntimeVersion).toMatch(/^containerd:\/\/\d/);
  await eventually(async () => {
    const { status } = await askJson<Node>('get', 'node', node);
    expect(status?.images?.flatMap(({ names }) => names)).toContain('naru.dev/web:v1');
  });
  const pod = await askJson<Pod>('get', 'pod', 'here', ...inNamespace());
  expect(pod.status?.containerStatuses?.map(({ containerID }) => containerID?.split(':')[0])).toEqual([
    'containerd',
    'containerd',
  ]);
});

test('a pod on containerd and one on our runtime reach each other, by their addresses, a Service and a port of the node', async () => {
  const [here, there] = await Promise.all(
    ['here', 'there'].map(name => askJson<Pod>('get', 'pod', name, ...inNamespace())),
  );
  const fetch = (from: string, address: string): Promise<string> =>
    ask('exec', ...inNamespace(from, '-c', 'main', '--', 'timeout', '5', 'wget', '-qO-', `http://${address}/`));
  await eventually(async () => expect(await fetch('here', `${there?.status?.podIP}:8080`)).toContain('there'));
  await eventually(async () => expect(await fetch('there', `${here?.status?.podIP}:8080`)).toContain('here'));
  await eventually(async () => expect(await fetch('there', `${here?.status?.hostIP}:18280`)).toContain('here'));
  const answers = new Set<string>();
  await eventually(async () => {
    answers.add(await fetch('here', 'web'));
    expect([...answers].sort()).toEqual([expect.stringMatching(/from here /), expect.stringMatching(/from there /)]);
  });
});

test('pods on containerd and on our runtime pull as the nodes were told of registries: without TLS, and from a mirror', async () => {
  const pods = ['pod/pulls-on-worker-1', `pod/pulls-on-${node}`];
  await kubectl(inNamespace('wait', '--for=condition=Ready', ...pods, '--timeout=150s'), { timeoutMs: 160_000 });
  for (const pod of pods) {
    const { status } = await askJson<Pod>('get', pod, ...inNamespace());
    // What both names lead to is one image, which the runtime calls by either.
    for (const { imageID } of status?.containerStatuses ?? [])
      expect(imageID).toMatch(/^(10[\d.]+:\d+|registry.e2e)\/team\/sleeper@sha256:[0-9a-f]{64}$/);
  }
});

test('exec, attach, cp, logs and port-forward reach a container on containerd', async () => {
  const outcome = await kubectl(
    inNamespace('exec', '-i', 'here', '-c', 'main', '--', 'sh', '-c', 'cat; echo err >&2; exit 7'),
    { input: 'in', anyCode: true },
  );
  expect(outcome).toMatchObject({ code: 7, stdout: 'in' });
  expect(outcome.stderr).toMatch(/^err\n/);
  const [there, back] = ['there', 'back'].map(name => path.join(folder, name)) as [string, string];
  writeFileSync(there, randomBytes(300_000));
  await kubectl(inNamespace('cp', '-c', 'main', there, 'here:/tmp/copy'));
  await kubectl(inNamespace('cp', '-c', 'main', 'here:/tmp/copy', back));
  const digest = (file: string): string => createHash('sha256').update(readFileSync(file)).digest('hex');
  expect(digest(back)).toBe(digest(there));
  const child = spawn('kubectl', inNamespace('attach', '-i', 'here', '-c', 'reader'), {
    env: { ...process.env, KUBECONFIG: kubeconfig },
  });
  let output = '';
  child.stdout.on('data', chunk => (output += String(chunk)));
  child.stderr.on('data', chunk => (output += String(chunk)));
  try {
    await eventually(() => expect(output).toMatch(/pressing enter/));
    child.stdin.write('a line\n');
    await eventually(() => expect(output).toContain('got a line'));
  } finally {
    child.kill();
  }
  // Whoever is attached may hear of it first.
  await eventually(async () => expect(await ask('logs', ...inNamespace('here', '-c', 'reader'))).toBe('got a line'));
  const lines = inNamespace('here', '-c', 'main', '--', 'cat', '/shared/lines');
  await eventually(async () => expect(await ask('exec', ...lines)).toBe('got a line'));
  const forward = spawn('kubectl', inNamespace('port-forward', 'pod/here', ':8080'), {
    env: { ...process.env, KUBECONFIG: kubeconfig },
  });
  let forwarding = '';
  forward.stdout.on('data', chunk => (forwarding += String(chunk)));
  try {
    const local = await eventually(() => {
      const port = /Forwarding from 127\.0\.0\.1:(\d+)/.exec(forwarding)?.[1];
      expect(port).toBeDefined();
      return port;
    });
    expect((await run('curl', ['-sf', `http://127.0.0.1:${local}/`])).stdout).toContain('here');
  } finally {
    forward.kill();
  }
});

test.each(cases.map(({ name }, index) => ({ name, index })))('a container on containerd $name', ({ index }) =>
  caseRun?.check(index),
);

test('kill -9 of containerd leaves the containers running, and others start', async () => {
  const identity = async (): Promise<unknown> =>
    (await askJson<Pod>('get', 'pod', 'here', ...inNamespace())).status?.containerStatuses?.map(
      ({ containerID, restartCount }) => ({ containerID, restartCount }),
    );
  const before = await identity();
  await killAndRecover('containerd', node);
  await kubectl(
    inNamespace('run', 'after', '--image=naru.dev/web:v1', `--overrides=${JSON.stringify({ spec: { nodeSelector } })}`),
  );
  await kubectl(inNamespace('wait', '--for=condition=Ready', 'pod/after', '--timeout=150s'), { timeoutMs: 160_000 });
  expect(await identity()).toEqual(before);
  expect(await ask('exec', ...inNamespace('here', '-c', 'main', '--', 'echo', 'alive'))).toBe('alive');
});
