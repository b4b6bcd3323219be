// How long after an endpoint becomes ready it is reached through its Service, on every node. Uses a cluster of its own beside any
// other; needs root. The endpoint is a listener in the network of the first node, named by an EndpointSlice that is written by hand,
// so that what is measured is the way of the slice: api-server, watch, kube-proxy, kernel. Until it is ready connections are refused;
// a prober in the network of each node asks every few milliseconds.
//   node bench/endpoint-reach.mjs [--rounds 200] [--workers 3] [--services 1000]
// Prints one JSON line a node, and one for the last node of each round. `--services`: that many others are there, too. The program
// that `up` is run by is ./naru, or NARU.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { openKubeconfig, quantile } from './kube-rest.mjs';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '200' },
    workers: { type: 'string', default: '3' },
    services: { type: 'string', default: '0' },
    cluster: { type: 'string', default: 'bench' },
    'port-offset': { type: 'string', default: '2000' },
    'node-cidr': { type: 'string', default: '10.93.0.0/24' },
  },
});
const program = (process.env.NARU ?? path.resolve(import.meta.dirname, '..', 'naru')).split(' ');
const flags = ['cluster', 'port-offset', 'node-cidr'].flatMap(name => [`--${name}`, values[name]]);
const naru = (...args) =>
  execFileSync(program[0], [...program.slice(1), ...args, ...flags], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });

/** The clock that all processes share. */
const now = () => Number(process.hrtime.bigint()) / 1e6;
const pauseMs = 2;
const backPort = 9000;
/** A line `await ADDRESS PORT open|refused` is answered with the time, in ms since the machine started, when it was so first. */
const prober = `
const net = require('net');
require('readline').createInterface({ input: process.stdin }).on('line', line => {
  const [, host, port, wanted] = line.split(' ');
  const attempt = () => {
    const socket = net.connect({ host, port });
    const settle = found => {
      socket.destroy();
      if (found === wanted) console.log(Number(process.hrtime.bigint()) / 1e6);
      else setTimeout(attempt, ${pauseMs});
    };
    socket.setTimeout(1000, () => settle('lost'));
    socket.once('connect', () => settle('open'));
    socket.once('error', () => settle('refused'));
  };
  attempt();
});
process.stdin.on('end', () => process.exit());
`;
const listener = `require('net').createServer(socket => socket.on('error', () => 0).resume()).listen(${backPort}, () => console.log('ready'))`;

const children = [];
function startOn(node, text) {
  const inside = [`--net=/run/netns/naru-${values.cluster}.${node}`, process.execPath, '-e', text];
  const child = spawn('nsenter', inside, { stdio: ['pipe', 'pipe', 'inherit'] });
  children.push(child);
  return { child, lines: createInterface({ input: child.stdout }) };
}
const ask = async ({ child, lines }, text) => {
  const answer = once(lines, 'line');
  child.stdin.write(`${text}\n`);
  return Number((await answer)[0]);
};

const slicesPath = '/apis/discovery.k8s.io/v1/namespaces/default/endpointslices';
const servicesPath = '/api/v1/namespaces/default/services';

/** A Service without a selector: nobody but us writes its slice. */
async function makeService(api, name, address, ready) {
  const ports = [{ name: 'tcp', port: 80, protocol: 'TCP' }];
  const service = await api.call('POST', servicesPath, { metadata: { name }, spec: { ports } });
  await api.call('POST', slicesPath, sliceOf(name, address, ready));
  return service.spec.clusterIP;
}
const sliceOf = (name, address, ready) => ({
  metadata: { name, labels: { 'kubernetes.io/service-name': name } },
  addressType: 'IPv4',
  endpoints: [{ addresses: [address], conditions: { ready } }],
  ports: [{ name: 'tcp', port: backPort, protocol: 'TCP' }],
});

function print(row, took) {
  const round = value => Math.round(value * 10) / 10;
  const [p50ms, p99ms, maxMs] = [quantile(took, 0.5), quantile(took, 0.99), Math.max(...took)].map(round);
  console.log(JSON.stringify({ measured: 'endpoint ready → reachable', ...row, n: took.length, p50ms, p99ms, maxMs }));
}

async function measure() {
  const api = openKubeconfig(`/var/lib/naru/${values.cluster}/kubeconfig`);
  const { items } = await api.call('GET', '/api/v1/nodes');
  const names = items.map(({ metadata }) => metadata.name);
  const backend = items[0].status.addresses.find(({ type }) => type === 'InternalIP').address;
  const others = Number(values.services);
  for (let at = 0; at < others; at++) await makeService(api, `other-${at}`, '10.244.255.254', true);
  const clusterIP = await makeService(api, 'probed', backend, false);
  await once(startOn(names[0], listener).lines, 'line');
  const probers = names.map(name => startOn(name, prober));
  const everywhere = wanted => Promise.all(probers.map(one => ask(one, `await ${clusterIP} 80 ${wanted}`)));
  const setReady = ready => api.call('PUT', `${slicesPath}/probed`, sliceOf('probed', backend, ready));
  const took = names.map(() => []);
  for (let round = 0; round < Number(values.rounds); round++) {
    await everywhere('refused');
    const open = everywhere('open');
    const begun = now();
    await setReady(true);
    for (const [at, time] of (await open).entries()) took[at].push(time - begun);
    await setReady(false);
  }
  const services = others + 1;
  for (const [at, node] of names.entries()) print({ node, services }, took[at]);
  const last = took[0].map((_, round) => Math.max(...took.map(one => one[round])));
  print({ node: 'the last of all', services }, last);
}

function end() {
  for (const child of children) child.kill('SIGKILL');
  naru('down', '--purge');
}
// Whoever cuts a benchmark short does not leave its cluster behind.
for (const signal of ['SIGTERM', 'SIGINT'])
  process.once(signal, () => {
    end();
    process.exit(1);
  });
try {
  naru('up', '--workers', values.workers);
  await measure();
} finally {
  end();
}
process.exit(0);
