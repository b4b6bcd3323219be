// A cluster of hollow nodes under load, through the real api-server: registration, scheduling, a Deployment created and rolled, garbage
// collection, what the steady state costs, API latencies and memory. Needs a built tree and root; uses a cluster of its own.
//   node bench/scale.mjs [--nodes 1000] [--pods 3000] [--fill 30000] [--replicas 1000] [--dependents 5000]
import { execFileSync } from 'node:child_process';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { cpuSeconds } from './dev-server.mjs';
import { openKubeconfig, quantile } from './kube-rest.mjs';

const number = value => ({ type: 'string', default: String(value) });
const { values } = parseArgs({
  options: {
    nodes: number(1000),
    pods: number(3000),
    fill: number(0),
    replicas: number(1000),
    dependents: number(5000),
    // Only the phases that are named, of: schedule, rollout, collect, fill.
    only: { type: 'string', default: 'schedule,rollout,collect,fill' },
  },
});
const [nodes, pods, fill, replicas, dependents] = ['nodes', 'pods', 'fill', 'replicas', 'dependents'].map(key =>
  Number(values[key]),
);
const root = path.resolve(import.meta.dirname, '..');
const name = 'scale';
const naru = (...args) =>
  execFileSync(process.execPath, [path.join(root, 'dist/apps/naru/main.js'), ...args, '--cluster', name], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
const print = row => console.log(JSON.stringify(row));
const seconds = since => Number(((performance.now() - since) / 1000).toFixed(2));
const rest = ms => new Promise(resolve => setTimeout(resolve, ms));
const podPath = '/api/v1/namespaces/default/pods';

/** Runs `work(0)` to `work(count - 1)`, `width` at a time. */
async function inParallel(count, width, work) {
  let next = 0;
  const worker = async () => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: width }, worker));
}

/** Processor seconds that the control plane has used so far, by process. */
function processorSeconds() {
  const { processes } = JSON.parse(naru('status', '--output', 'json'));
  return Object.fromEntries(processes.filter(({ pid }) => pid).map(row => [row.name, cpuSeconds(row.pid)]));
}

function difference(after, before) {
  return Object.fromEntries(Object.keys(after).map(key => [key, Number((after[key] - before[key]).toFixed(2))]));
}

function memory(phase) {
  const { processes } = JSON.parse(naru('status', '--output', 'json'));
  print({
    phase,
    megabytes: Object.fromEntries(processes.map(row => [row.name, Math.round(row.residentBytes / 1e6)])),
  });
}

/** Watches the pods of a namespace; `until(n, isSuch)` resolves when n of them are such. */
function followPods(api) {
  const known = new Map();
  const waiters = new Set();
  const stop = api.watch(podPath, ({ type, object }) => {
    if (type === 'DELETED') known.delete(object.metadata.uid);
    else known.set(object.metadata.uid, { bound: !!object.spec?.nodeName, phase: object.status?.phase });
    for (const waiter of waiters) waiter();
  });
  const until = (count, isSuch) =>
    new Promise(resolve => {
      let seen = -1;
      const look = () => {
        // Counting is work too: only when something has changed, and once a turn.
        if (seen === 0) return;
        seen = 0;
        setImmediate(() => {
          seen = -1;
          const found = [...known.values()].filter(isSuch).length;
          if (found !== count) return;
          waiters.delete(look);
          resolve();
        });
      };
      waiters.add(look);
      look();
    });
  return { until, stop };
}

const template = (app, image = 'x') => ({
  metadata: { labels: { app } },
  spec: {
    containers: [{ name: 'main', image, resources: { requests: { cpu: '100m', memory: '128Mi' } } }],
    terminationGracePeriodSeconds: 1,
  },
});
const pod = (app, i) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: `${app}-${i}`, labels: { app } },
  spec: template(app).spec,
});

async function createPods(api, app, count) {
  const follow = followPods(api);
  const before = processorSeconds();
  const begun = performance.now();
  await inParallel(count, 32, i => api.call('POST', podPath, pod(app, i)));
  const createdSeconds = seconds(begun);
  await follow.until(count, ({ bound }) => bound);
  const boundSeconds = seconds(begun);
  await follow.until(count, ({ phase }) => phase === 'Running');
  print({
    phase: `${count} pods onto ${nodes} nodes`,
    createdSeconds,
    boundSeconds,
    runningSeconds: seconds(begun),
    boundPerSecond: Math.round(count / boundSeconds),
    processorSeconds: difference(processorSeconds(), before),
  });
  follow.stop();
}

async function removePods(api) {
  const follow = followPods(api);
  const begun = performance.now();
  await api.call('DELETE', podPath);
  await follow.until(0, () => true);
  follow.stop();
  return seconds(begun);
}

async function rollout(api) {
  const path = '/apis/apps/v1/namespaces/default/deployments';
  const complete = async () => {
    const { metadata, spec, status } = await api.call('GET', `${path}/big`);
    const { observedGeneration, updatedReplicas, availableReplicas } = status ?? {};
    const isCurrent = observedGeneration >= metadata.generation && status.replicas === spec.replicas;
    return isCurrent && updatedReplicas === spec.replicas && availableReplicas === spec.replicas;
  };
  const untilComplete = async () => {
    while (!(await complete())) await rest(50);
  };
  const deployment = {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'big' },
    spec: { replicas, selector: { matchLabels: { app: 'big' } }, template: template('big') },
  };
  let begun = performance.now();
  await api.call('POST', path, deployment);
  await untilComplete();
  print({ phase: `Deployment of ${replicas} created`, seconds: seconds(begun) });
  const current = await api.call('GET', `${path}/big`);
  begun = performance.now();
  await api.call('PUT', `${path}/big`, { ...current, spec: { ...current.spec, template: template('big', 'y') } });
  await untilComplete();
  print({ phase: `Deployment of ${replicas} rolled`, seconds: seconds(begun) });
  const follow = followPods(api);
  begun = performance.now();
  await api.call('DELETE', `${path}/big`);
  await follow.until(0, () => true);
  follow.stop();
  print({ phase: `Deployment of ${replicas} deleted, its pods gone`, seconds: seconds(begun) });
}

/** One owner with many dependents: the garbage collector's work alone. */
async function collect(api) {
  const path = '/api/v1/namespaces/default/configmaps';
  const configMap = (suffix, metadata = {}) => ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: `owned-${suffix}`, labels: { bench: 'collect' }, ...metadata },
  });
  const owner = await api.call('POST', path, { ...configMap('owner'), metadata: { name: 'owner' } });
  const ownerReferences = [{ apiVersion: 'v1', kind: 'ConfigMap', name: 'owner', uid: owner.metadata.uid }];
  await inParallel(dependents, 32, i => api.call('POST', path, configMap(i, { ownerReferences })));
  await rest(2_000);
  const begun = performance.now();
  await api.call('DELETE', `${path}/owner`);
  const left = async () => {
    const list = await api.call('GET', `${path}?labelSelector=bench%3Dcollect&limit=1`);
    return list.items.length;
  };
  while (await left()) await rest(50);
  print({ phase: `owner of ${dependents} objects deleted, all collected`, seconds: seconds(begun) });
}

async function latencies(api) {
  const measure = async (what, path, rounds) => {
    const times = [];
    for (let i = 0; i < rounds; i++) {
      const begun = performance.now();
      await api.call('GET', path);
      times.push(performance.now() - begun);
    }
    print({
      phase: 'latency',
      what,
      p50ms: Number(quantile(times, 0.5).toFixed(2)),
      p99ms: Number(quantile(times, 0.99).toFixed(2)),
    });
  };
  await measure('get pod', `${podPath}/fill-0`, 500);
  await measure('list pods of one node', `${podPath}?fieldSelector=spec.nodeName%3Dhollow-1`, 200);
  await measure('list a page of 500 pods', `${podPath}?limit=500`, 50);
  await measure('list nodes', '/api/v1/nodes', 20);
}

/** Nothing happens but heartbeats. */
async function idle(periodSeconds) {
  await rest(10_000);
  const before = processorSeconds();
  await rest(periodSeconds * 1000);
  print({ phase: `idle for ${periodSeconds} s`, processorSeconds: difference(processorSeconds(), before) });
}

const commit = execFileSync('git', ['-C', root, 'rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim();
print({
  bench: 'scale',
  commit,
  machine: `${os.cpus().length} cores, ${os.cpus()[0].model}, Linux ${os.release()}, node ${process.version}`,
  load: os.loadavg().map(value => Number(value.toFixed(1))),
});
naru('up', '--workers', '0', '--port-offset', '4000', '--node-cidr', '10.92.0.0/24');
try {
  const api = openKubeconfig(`/var/lib/naru/${name}/kubeconfig`);
  const phases = values.only.split(',');
  const begun = performance.now();
  naru('hollow', '--nodes', String(nodes), '--register-with-taints=');
  print({ phase: `${nodes} hollow nodes Ready`, seconds: seconds(begun) });
  memory('memory, empty');
  if (phases.includes('schedule')) {
    await createPods(api, 'pod', pods);
    memory(`memory, ${pods} pods`);
    print({ phase: `${pods} pods deleted, all gone`, seconds: await removePods(api) });
  }
  if (phases.includes('rollout')) await rollout(api);
  if (phases.includes('collect')) await collect(api);
  await idle(20);
  if (phases.includes('fill') && fill > 0) {
    await createPods(api, 'fill', fill);
    memory(`memory, ${fill} pods`);
    await latencies(api);
    await idle(20);
  }
} finally {
  naru('down', '--purge');
}
process.exit(0);
