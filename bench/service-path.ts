// What a Service costs on the way: how much longer the first packet of a connection takes through a cluster IP than from pod
// to pod, with many Services beside it, and which share of the throughput of pod to pod is left. Pods are network namespaces
// that the CNI plugins wire, the rules those of the node of the client. The mode ipvs runs in user-mode Linux, as this kernel
// has no IPVS, with iptables beside it: compare the two with each other, not with what the machine's own kernel does.
// Run: npx esbuild bench/service-path.ts --bundle --platform=node --log-level=error --outfile=dist/bench/service-path.js && node dist/bench/service-path.js
// SIZES=10,1000,10000 MODES=nftables,iptables,ipvs SAMPLES=3000 ROUNDS=7 SECONDS=2. One JSON line a measurement. Needs root.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { silentLogger } from '@naru/foundation';
import { runInUserModeLinux } from '@naru/testing';
import type { ServicePort } from '../apps/kube-proxy/src/desired/service-port';
import type { ProxyMode, RuleSync } from '../apps/kube-proxy/src/modes/mode';
import { proxyModes } from '../apps/kube-proxy/src/modes/registry';
import { Shells } from '../apps/kube-proxy/src/shells';
import { ipvsKernel } from '../apps/kube-proxy/src/testing/ipvs-kernel';
import type { Place } from '../apps/kube-proxy/src/testing/network-lab';
import { aPort } from '../apps/kube-proxy/src/testing/ports';
import { setUpCluster, type TestCluster } from '../apps/kube-proxy/src/testing/test-cluster';
import { peer } from './service-path-peer';

const list = (name: string, fallback: string): string[] => (process.env[name] ?? fallback).split(',');
const sizes = list('SIZES', '10,1000,10000').map(Number);
const modes = list('MODES', 'nftables,iptables,ipvs');
const samples = Number(process.env['SAMPLES'] ?? 3000);
const rounds = Number(process.env['ROUNDS'] ?? 7);
const seconds = Number(process.env['SECONDS'] ?? 2);
/** Where this process is: in the machine's kernel, or in user-mode Linux by way of itself. */
const kernel = process.env['BENCH_KERNEL'] ?? 'host';
const port = 9000;
const signals = ['SIGTERM', 'SIGINT'] as const;

function startPeer(place: Place, ...args: string[]): ChildProcess {
  const inside = [`--net=/run/netns/${place.namespace}`, 'perl', '-e', peer, ...args];
  return spawn('nsenter', inside, { stdio: ['pipe', 'pipe', 'inherit'] });
}

async function ask(place: Place, args: string[], input = ''): Promise<number[]> {
  const child = startPeer(place, ...args);
  child.stdin?.end(input);
  const output = child.stdout ? await text(child.stdout) : '';
  if (child.exitCode === null) await once(child, 'close');
  if (child.exitCode !== 0) throw new Error(`the client in ${place.namespace} failed`);
  return output.trim().split('\n').map(Number);
}

const round1 = (value: number): number => Math.round(value * 10) / 10;

function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN;
}

/** Services that all lead to one pod, so that they differ by where in the rules they are and by nothing else. */
function makePorts(cluster: TestCluster, server: Place, count: number): ServicePort[] {
  return Array.from({ length: count }, (_, index) =>
    aPort({
      name: `bench/service-${index}:/tcp`,
      clusterIp: cluster.addresses.clusterIp(index + 1),
      clusterEndpoints: [{ address: server.ip, port, local: server === cluster.pods[1] }],
    }),
  );
}

interface Ends {
  client: Place;
  server: Place;
}

const turns = 10;

/**
 * Whatever else the machine does befalls all: connections straight and through Services take turns, and so do these and the
 * connections between the pods of `bare`, on a node without rules. Rules may slow down what they do not match, too.
 */
async function measureFirstPacket(
  bare: Ends,
  { client, server }: Ends,
  ports: readonly ServicePort[],
): Promise<object> {
  const [without, direct, service]: [number[], number[], number[]] = [[], [], []];
  const each = Math.ceil(samples / turns);
  for (let turn = 0; turn < turns; turn++) {
    without.push(...(await ask(bare.client, ['connect'], `${bare.server.ip} ${port}\n`.repeat(each))));
    const targets = Array.from({ length: each }, (_, at) => {
      // A stride that is prime to every size: all over the rules.
      const { clusterIp, port: asked } = ports[((turn * each + at) * 7919) % ports.length] as ServicePort;
      return `${server.ip} ${port}\n${clusterIp} ${asked}\n`;
    });
    const took = await ask(client, ['connect'], targets.join(''));
    for (const [at, microseconds] of took.entries()) (at % 2 === 0 ? direct : service).push(microseconds);
  }
  return {
    samples: service.length,
    bareP50Us: round1(quantile(without, 0.5)),
    bareP99Us: round1(quantile(without, 0.99)),
    directP50Us: round1(quantile(direct, 0.5)),
    directP99Us: round1(quantile(direct, 0.99)),
    serviceP50Us: round1(quantile(service, 0.5)),
    serviceP99Us: round1(quantile(service, 0.99)),
    addedP50Us: round1(quantile(service, 0.5) - quantile(without, 0.5)),
  };
}

/** Medians of rounds, in which now the one goes first, now the other; `percent` is the median of what each round says of itself. */
async function measureThroughput({ client, server }: Ends, service: ServicePort): Promise<object> {
  const [direct, through]: [number[], number[]] = [[], []];
  const ways = [
    { rates: direct, address: server.ip, to: port },
    { rates: through, address: service.clusterIp, to: service.port },
  ];
  for (let round = 0; round < rounds; round++) {
    for (const { rates, address, to } of ways) {
      rates.push(...(await ask(client, ['send', address, String(to), String(seconds)])));
    }
    ways.reverse();
  }
  const shares = through.map((rate, at) => (100 * rate) / (direct[at] ?? NaN));
  return {
    rounds,
    directGbitS: round1(quantile(direct, 0.5)),
    serviceGbitS: round1(quantile(through, 0.5)),
    percent: round1(quantile(shares, 0.5)),
    percentMin: round1(Math.min(...shares)),
  };
}

async function measureMode(mode: ProxyMode): Promise<void> {
  const print = (row: object): void => console.log(JSON.stringify({ mode: mode.name, kernel, ...row }));
  const cluster = await setUpCluster(mode, { nodes: 2, backend: 'host-gw' });
  const { namespace } = cluster.lab.node(1);
  const shells = new Shells({ prefix: ['ip', 'netns', 'exec', namespace], timeoutMs: 300_000 });
  const config = { family: cluster.lab.family, clusterCidr: cluster.addresses.clusterCidr };
  const rules: RuleSync = mode.build({ run: shells.run, config, logger: silentLogger });
  const [client, near, far] = cluster.pods as [Place, Place, Place];
  const bare = { client: await cluster.lab.addPod(cluster.lab.node(2)), server: far };
  const servers = [near, far].map(place => startPeer(place, 'serve', String(port)));
  let ended: Promise<void> | undefined;
  const end = (): Promise<void> => {
    for (const server of servers) server.kill('SIGKILL');
    shells.close();
    return (ended ??= cluster.close());
  };
  // Whoever cuts a benchmark short does not leave its namespaces behind.
  const cutShort = (): void => void end().then(() => process.exit(1));
  for (const signal of signals) process.once(signal, cutShort);
  try {
    await Promise.all(servers.map(({ stdout }) => stdout && once(stdout, 'data')));
    for (const size of sizes) {
      const ports = makePorts(cluster, near, size);
      await rules.sync({ full: true, ports: () => ports });
      print({
        measured: 'first packet',
        services: size,
        ...(await measureFirstPacket(bare, { client, server: near }, ports)),
      });
    }
    for (const [where, server] of Object.entries({ 'the same node': near, 'another node': far })) {
      const ports = makePorts(cluster, server, sizes[0] ?? 1);
      await rules.sync({ full: true, ports: () => ports });
      const figures = await measureThroughput({ client, server }, ports[0] as ServicePort);
      print({ measured: 'throughput', to: `a pod of ${where}`, services: ports.length, ...figures });
    }
  } finally {
    for (const signal of signals) process.off(signal, cutShort);
    await end();
  }
}

/** Programs run several times slower there: half an hour is a bound, not what is expected. */
async function measureInUserModeLinux(): Promise<void> {
  const settings = `BENCH_KERNEL=uml MODES=ipvs,iptables SIZES=${sizes.join()} SAMPLES=${samples} ROUNDS=${rounds} SECONDS=${seconds}`;
  const script = `${ipvsKernel.prepare}\n${settings} ${process.execPath} ${__filename}`;
  const { modules } = ipvsKernel;
  const output = await runInUserModeLinux({ modules, script, memoryMb: 2048, timeoutMs: 1_800_000 });
  const rows = output.split('\n').filter(line => line.startsWith('{"mode":'));
  console.log(rows.join('\n'));
}

async function main(): Promise<void> {
  for (const name of modes) {
    const mode = proxyModes.find(known => known.name === name);
    if (!mode) throw new Error(`there is no mode ${name}`);
    if (name === 'ipvs' && kernel === 'host') await measureInUserModeLinux();
    else await measureMode(mode);
  }
}

void main();
