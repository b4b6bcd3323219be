// A node full of pods: how long until all are Ready, and what the node's processes then take, in memory and of a processor, while nothing happens.
//   node bench/pod-density.mjs --kubeconfig FILE --node NAME [--pods 105] [--idle 30] [--image IMAGE] [--match CLUSTER]
// Prints one JSON line. Needs root on the node's machine.
import { parseArgs } from 'node:util';
import { openKubeconfig } from './kube-rest.mjs';
import { cpuSeconds, nodeProcesses, rssMb } from './node-processes.mjs';

const { values: flags } = parseArgs({
  options: {
    kubeconfig: { type: 'string', default: process.env.KUBECONFIG },
    image: { type: 'string', default: 'naru.dev/web:v1' },
    node: { type: 'string', default: 'worker-1' },
    pods: { type: 'string', default: '105' },
    idle: { type: 'string', default: '30' },
    match: { type: 'string', default: '' },
  },
});
const api = openKubeconfig(flags.kubeconfig);
const namespace = `density-${Date.now().toString(36)}`;
const podsPath = `/api/v1/namespaces/${namespace}/pods`;
const sleep = ms => new Promise(resolve => setTimeout(resolve, ms));

const pod = name => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name },
  spec: {
    nodeName: flags.node,
    terminationGracePeriodSeconds: 1,
    containers: [
      {
        name: 'main',
        image: flags.image,
        imagePullPolicy: 'IfNotPresent',
        command: ['sh', '-c', 'trap "exit 0" TERM; sleep 3600 & wait'],
      },
    ],
  },
});

async function until(what, condition) {
  for (let waited = 0; waited < 180_000; waited += 200) {
    if (await condition().catch(() => false)) return;
    await sleep(200);
  }
  throw new Error(`not within three minutes: ${what}`);
}

const isReady = ({ status }) => status?.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True');
const processes = nodeProcesses(flags.node, flags.match);
const each = read => Object.fromEntries(Object.entries(processes).map(([name, pid]) => [name, read(pid)]));
const round = value => Math.round(value * 10) / 10;

await api.call('POST', '/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
await until('service account', () =>
  api.call('GET', `/api/v1/namespaces/${namespace}/serviceaccounts/default`).then(() => true),
);
const rssBefore = each(rssMb);
const begun = performance.now();
const count = Number(flags.pods);
for (let i = 0; i < count; i++) await api.call('POST', podsPath, pod(`p-${i}`));
await until('pods ready', async () => (await api.call('GET', podsPath)).items.filter(isReady).length === count);
const readySeconds = (performance.now() - begun) / 1000;
// The burst's garbage is collected first.
await sleep(20_000);
const cpuBefore = each(cpuSeconds);
await sleep(Number(flags.idle) * 1000);
const cpuAfter = each(cpuSeconds);
const rss = each(rssMb);
const idle = Object.fromEntries(
  Object.keys(processes).map(name => [name, round(((cpuAfter[name] - cpuBefore[name]) / Number(flags.idle)) * 100)]),
);
console.log(
  JSON.stringify({
    pods: count,
    readySeconds: round(readySeconds),
    rssMbBefore: rssBefore,
    rssMb: rss,
    kubeletAndRuntimeMb: round(rss.kubelet + rss.runtime),
    idlePercentOfACore: idle,
  }),
);
await api.call('DELETE', `/api/v1/namespaces/${namespace}`);
await until('namespace gone', () => api.call('GET', podsPath).then(({ items }) => items.length === 0));
process.exit(0);
