// The scheduler through the real api-server, bus and store, with the workloads of upstream's scheduler_perf: Node objects without
// kubelets, pods created over REST as fast as the server takes them. One JSON line for each: pods bound a second after the first one,
// processor time of each process for a pod, resident memory. Needs a built tree, nats-server and kubectl.
//   node bench/scheduler-perf.mjs [--workloads SchedulingBasic,...] [--nodes 500,1000,5000] [--prof FOLDER]
// --prof leaves V8 CPU profiles of the api-server and the scheduler there.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { Processes, answers, cpuSeconds, freePort, residentMB, root } from './dev-server.mjs';
import { openKubeconfig } from './kube-rest.mjs';
import { workloads } from './scheduler-workloads.mjs';

const { values } = parseArgs({
  options: {
    workloads: { type: 'string', default: Object.keys(workloads).join(',') },
    nodes: { type: 'string', default: '500,1000,5000' },
    prof: { type: 'string' },
  },
});
const clients = 32;
const print = row => console.log(JSON.stringify(row));

/** Runs `work(0)` to `work(count - 1)`, `clients` at a time. */
async function inParallel(count, work) {
  let next = 0;
  const worker = async () => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: clients }, worker));
}

/** Store, api-server, bus and scheduler, alone on free ports. */
async function startControlPlane(folder, processes) {
  const [port, grpcPort, natsPort, healthPort] = [
    await freePort(),
    await freePort(),
    await freePort(),
    await freePort(),
  ];
  const pem = name => path.join(folder, name);
  const bus = `tls://127.0.0.1:${natsPort}`;
  const nodeFlags = values.prof ? ['--cpu-prof', '--cpu-prof-interval=500', `--cpu-prof-dir=${values.prof}`] : [];
  const apiServer = processes.startApiServer(folder, {
    port,
    grpcPort,
    flags: ['--nats', bus],
    nodeFlags: nodeFlags.join(' '),
  });
  await answers(`https://127.0.0.1:${port}/readyz`);
  const nats = processes.start('nats-server', [
    ...['--addr', '127.0.0.1', '--port', String(natsPort), '--jetstream', '--store_dir', pem('nats'), '--tlsverify'],
    ...['--tlscert', pem('apiserver.crt'), '--tlskey', pem('apiserver.key'), '--tlscacert', pem('ca.crt')],
    ...['--log', pem('nats.log')],
  ]);
  const scheduler = processes.start(process.execPath, [
    ...nodeFlags,
    path.join(root, 'dist/apps/scheduler/main.js'),
    ...['--api-server', `127.0.0.1:${grpcPort}`, '--nats', bus, '--health-address', `127.0.0.1:${healthPort}`],
    ...['--ca', pem('ca.crt'), '--certificate', pem('scheduler.crt'), '--key', pem('scheduler.key')],
  ]);
  await answers(`http://127.0.0.1:${healthPort}/readyz`);
  return {
    api: openKubeconfig(pem('kubeconfig')),
    pids: { 'api-server': apiServer.pid, scheduler: scheduler.pid, nats: nats.pid },
  };
}

const node = (name, zone) => ({
  apiVersion: 'v1',
  kind: 'Node',
  metadata: {
    name,
    labels: { 'kubernetes.io/hostname': name, ...(zone ? { 'topology.kubernetes.io/zone': zone } : {}) },
  },
  status: {
    capacity: { cpu: '4', memory: '32Gi', pods: '110' },
    allocatable: { cpu: '4', memory: '32Gi', pods: '110' },
    conditions: [{ type: 'Ready', status: 'True' }],
  },
});

class Load {
  constructor(api) {
    this.api = api;
    this.created = 0;
  }

  async prepare() {
    for (const name of ['init', 'measured', 'churn']) {
      await this.api.call('POST', '/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
      const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default' } };
      await this.api.call('POST', `/api/v1/namespaces/${name}/serviceaccounts`, account);
    }
    const high = { apiVersion: 'scheduling.k8s.io/v1', kind: 'PriorityClass', metadata: { name: 'high' }, value: 10 };
    await this.api.call('POST', '/apis/scheduling.k8s.io/v1/priorityclasses', high);
  }

  /** Kubelets are not there to take away the taint that a new Node gets. */
  async createNode(name, zone) {
    const path = `/api/v1/nodes/${name}`;
    const created = await this.api.call('POST', '/api/v1/nodes', node(name, zone));
    if (created.spec?.taints) await this.api.call('PUT', path, { ...created, spec: { ...created.spec, taints: [] } });
  }

  createPod(namespace, { labels, spec }) {
    const metadata = { name: `pod-${this.created++}`, labels };
    const pod = { apiVersion: 'v1', kind: 'Pod', metadata, spec };
    return this.api.call('POST', `/api/v1/namespaces/${namespace}/pods`, pod);
  }

  /** Creates `count` pods and resolves when all are bound: milliseconds from the first that was to the last. */
  async placePods(namespace, template, count) {
    const bound = this.api.count(`/api/v1/namespaces/${namespace}/pods?fieldSelector=spec.nodeName!%3D`, 'ADDED');
    const before = await bound.started;
    await inParallel(count, () => this.createPod(namespace, template));
    const ms = await bound.until(before + count);
    bound.stop();
    return ms;
  }

  /** Goes on until the function returned is called. */
  churn({ pod, node: withNode, service, everyMs, again }) {
    let undo = async () => undefined;
    let running = Promise.resolve();
    const once = async () => {
      await undo();
      const { metadata } = await this.createPod('churn', pod);
      const paths = [`/api/v1/namespaces/churn/pods/${metadata.name}`];
      if (withNode) {
        await this.createNode('churn', undefined);
        paths.push('/api/v1/nodes/churn');
      }
      if (service) {
        const body = {
          apiVersion: 'v1',
          kind: 'Service',
          metadata: { name: 'churn' },
          spec: { ports: [{ port: 80 }] },
        };
        await this.api.call('POST', '/api/v1/namespaces/churn/services', body);
        paths.push('/api/v1/namespaces/churn/services/churn');
      }
      if (again)
        undo = async () => {
          for (const path of paths) await this.api.call('DELETE', `${path}?gracePeriodSeconds=0`);
        };
    };
    const timer = setInterval(() => (running = running.then(once)), everyMs);
    return () => {
      clearInterval(timer);
      return running;
    };
  }
}

async function run(name, [nodes, initPods, pods, threshold]) {
  const { zones, init, measured, churn } = workloads[name];
  const folder = mkdtempSync(path.join(os.tmpdir(), 'naru-bench-scheduler-'));
  const processes = new Processes();
  try {
    const { api, pids } = await startControlPlane(folder, processes);
    const used = () => Object.entries(pids).map(([, pid]) => cpuSeconds(pid));
    const load = new Load(api);
    await load.prepare();
    await inParallel(nodes, i => load.createNode(`node-${i}`, zones?.[i % zones.length]));
    for (const template of init) await load.placePods('init', template, initPods);
    const before = used();
    const loadBefore = process.cpuUsage();
    const stopChurn = churn ? load.churn(churn) : async () => undefined;
    const ms = await load.placePods('measured', measured, pods);
    const { user, system } = process.cpuUsage(loadBefore);
    const after = used();
    await stopChurn();
    print({
      workload: name,
      nodes,
      initPods: initPods * init.length,
      pods,
      boundPerSecond: Math.round(((pods - 1) * 1000) / ms),
      ...(threshold ? { upstreamThreshold: threshold } : {}),
      cpuMsPerPod: {
        ...Object.fromEntries(
          Object.keys(pids).map((key, i) => [key, +(((after[i] - before[i]) * 1000) / pods).toFixed(2)]),
        ),
        load: +((user + system) / 1000 / pods).toFixed(2),
      },
      residentMB: Object.fromEntries(Object.entries(pids).map(([key, pid]) => [key, residentMB(pid)])),
    });
  } finally {
    await processes.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

if (values.prof) mkdirSync(values.prof, { recursive: true });
const commit = execFileSync('git', ['-C', root, 'rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim();
print({
  bench: 'scheduler-perf',
  commit,
  machine: `${os.cpus().length} cores, ${os.cpus()[0].model}, Linux ${os.release()}, node ${process.version}`,
  load: os.loadavg().map(value => Number(value.toFixed(1))),
});
const sizes = values.nodes.split(',').map(Number);
for (const name of values.workloads.split(','))
  for (const size of workloads[name].sizes) if (sizes.includes(size[0])) await run(name, size);
process.exit(0);
