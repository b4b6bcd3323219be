// A node full of pods: how long until all are Ready, and what the node's processes then take, in memory and of a processor, while nothing happens.
//   node bench/pod-density.mjs --kubeconfig FILE --node NAME [--pods 105] [--idle 30] [--image IMAGE] [--match CLUSTER]
// Prints one JSON line. Needs root on the node's machine.
import { cpuSeconds, nodeProcesses, rssMb } from './node-processes.mjs';
import { isReady, podLab, sleep, until } from './pod-lab.mjs';

// `match` tells apart the nodes of clusters that share the machine.
const lab = podLab('density', { node: 'worker-1', pods: '105', idle: '30', match: '' });
const { flags, api, podsPath } = lab;
const processes = nodeProcesses(flags.node, flags.match);
const each = read => Object.fromEntries(Object.entries(processes).map(([name, pid]) => [name, read(pid)]));
const round = value => Math.round(value * 10) / 10;

await lab.open();
const rssBefore = each(rssMb);
const begun = performance.now();
const count = Number(flags.pods);
for (let i = 0; i < count; i++) await api.call('POST', podsPath, lab.pod(`p-${i}`, { nodeName: flags.node }));
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
await lab.close();
await until('namespace gone', () => api.call('GET', podsPath).then(({ items }) => items.length === 0));
process.exit(0);
