// What a whole cluster costs: time of `up` on a built tree until 3 nodes are Ready, resident memory by process when idle, and how
// long after a node loses power its pods are Ready elsewhere. Uses a cluster of its own beside any other; needs root.
//   node bench/cluster.mjs [--rounds 3]
import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { openKubeconfig, quantile } from './kube-rest.mjs';

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '3' } } });
const root = path.resolve(import.meta.dirname, '..');
const flags = ['--cluster', 'bench', '--port-offset', '2000', '--node-cidr', '10.93.0.0/24'];
const naru = (...args) =>
  execFileSync(path.join(root, 'naru'), [...args, ...flags], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
const timed = run => {
  const begun = performance.now();
  run();
  return performance.now() - begun;
};
const print = row => console.log(JSON.stringify(row));
const round = value => Math.round(value);

naru('up', '--workers', '3');
const ups = [];
for (let i = 0; i < Number(values.rounds); i++) {
  naru('down');
  ups.push(timed(() => naru('up')));
}
print({
  phase: 'up on a built tree, 3 nodes Ready',
  n: ups.length,
  p50ms: round(quantile(ups, 0.5)),
  maxMs: round(Math.max(...ups)),
});

await new Promise(resolve => setTimeout(resolve, 20_000));
const { processes, nodes } = JSON.parse(naru('status', '--output', 'json'));
const megabytes = rows => Math.round(rows.reduce((sum, { residentBytes }) => sum + residentBytes, 0) / 1e5) / 10;
for (const row of processes)
  print({ phase: 'idle memory', process: `${row.node ? `${row.node}/` : ''}${row.name}`, megabytes: megabytes([row]) });
print({ phase: 'idle memory', process: 'control plane', megabytes: megabytes(processes.filter(({ node }) => !node)) });
for (const node of nodes) {
  print({
    phase: 'idle memory',
    process: `node ${node.name}`,
    megabytes: megabytes(processes.filter(row => row.node === node.name)),
  });
}

execFileSync(path.join(root, 'examples/web/build-image'), { stdio: 'ignore' });
naru('image', 'load', path.join(root, 'examples/web/web.tar'));
const api = openKubeconfig('/var/lib/naru/bench/kubeconfig');
const labels = { app: 'bench' };
await api.call('POST', '/apis/apps/v1/namespaces/default/deployments', {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'bench' },
  spec: {
    replicas: 6,
    selector: { matchLabels: labels },
    template: { metadata: { labels }, spec: { containers: [{ name: 'main', image: 'naru.dev/web:v1' }] } },
  },
});
const isReady = pod =>
  !pod.metadata.deletionTimestamp &&
  pod.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True');
const readyElsewhere = async victim => {
  const { items } = await api.call('GET', '/api/v1/namespaces/default/pods?labelSelector=app%3Dbench');
  return items.filter(pod => isReady(pod) && pod.spec.nodeName !== victim).length;
};
const until = async condition => {
  while (!(await condition())) await new Promise(resolve => setTimeout(resolve, 100));
};
const heals = [];
for (let i = 0; i < Number(values.rounds); i++) {
  await until(async () => (await readyElsewhere('')) === 6);
  const { items } = await api.call('GET', '/api/v1/namespaces/default/pods?labelSelector=app%3Dbench');
  const victim = items[0].spec.nodeName;
  naru('node', 'kill', victim);
  const begun = performance.now();
  await until(async () => (await readyElsewhere(victim)) === 6);
  heals.push(performance.now() - begun);
  naru('node', 'start', victim);
  await until(async () => JSON.parse(naru('status', '--output', 'json')).nodes.every(({ state }) => state === 'Ready'));
}
print({
  phase: 'node killed, its pods Ready elsewhere',
  n: heals.length,
  p50ms: round(quantile(heals, 0.5)),
  maxMs: round(Math.max(...heals)),
});
naru('down', '--purge');
process.exit(0);
