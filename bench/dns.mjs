// How many questions the cluster DNS answers, and how fast. The load and the server are a process each, so with fewer than
// two free cores look at answersPerCpuSecond, which counts the server's own time only. The server has one core, the load the others.
// Run: node bench/dns.mjs            SERVICES=1000 SECONDS=4 WINDOW=64 PEER=dnsmasq (Debian: dnsmasq-base).
// One JSON line a measurement, and at the end one a server with what there are goals for: 30,000 answers from the cache a second, and
// at half of that 99 of 100 within 2 ms. PEER is asked the same, over the same names, after each scenario.
import { spawn, spawnSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { build } from 'esbuild';

const seconds = Number(process.env.SECONDS ?? 4);
const window = Number(process.env.WINDOW ?? 64);
const root = path.resolve(import.meta.dirname, '..');
const bundle = path.join(root, 'dist/bench/dns-server.js');
const types = { A: 1, SRV: 33, PTR: 12 };

await build({
  entryPoints: [path.join(import.meta.dirname, 'dns-server.ts')],
  outfile: bundle,
  bundle: true,
  platform: 'node',
  target: 'node20',
  external: ['lmdb', 'pino-pretty', 'esbuild'],
  logLevel: 'warning',
});

function question(name, type) {
  const labels = name.split('.').flatMap(part => [Buffer.from([part.length]), Buffer.from(part)]);
  const head = Buffer.from('000001000001000000000000', 'hex');
  return Buffer.concat([head, ...labels, Buffer.from([0, 0, types[type], 0, 1])]);
}

/** CPU time of the process so far, in seconds. */
function cpuSeconds(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

function residentMb(pid) {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) / 1024;
}

/** Keeps `window` questions on their way, or sends `rate` a second. */
function load(port, packets, { rate }) {
  const socket = createSocket({ type: 'udp4', lookup: (address, _, done) => done(null, address, 4) });
  const sentAt = new Float64Array(65536);
  const latencies = [];
  let next = 0;
  let answered = 0;
  let last = performance.now();
  const send = () => {
    const id = next & 0xffff;
    const packet = Buffer.from(packets[next++ % packets.length]);
    packet.writeUInt16BE(id, 0);
    sentAt[id] = performance.now();
    socket.send(packet, 0, packet.length, port, '127.0.0.1', () => {});
  };
  return new Promise((resolve, reject) => {
    const timers = [];
    const begin = performance.now();
    socket.on('error', reject);
    socket.on('message', message => {
      answered++;
      last = performance.now();
      if (answered % 4 === 0) latencies.push(last - sentAt[message.readUInt16BE(0)]);
      if (!rate) send();
    });
    if (rate) {
      let sent = 0;
      timers.push(
        setInterval(() => {
          for (const due = ((performance.now() - begin) / 1000) * rate; sent < due; sent++) send();
        }, 1),
      );
    } else {
      for (let i = 0; i < window; i++) send();
      // What is lost on the way must not end the run.
      timers.push(setInterval(() => performance.now() - last > 100 && Array.from({ length: window }, send), 100));
    }
    setTimeout(async () => {
      timers.forEach(clearInterval);
      const took = (performance.now() - begin) / 1000;
      // What is still on its way is not lost.
      if (rate) await new Promise(done => setTimeout(done, 500));
      socket.close();
      latencies.sort((a, b) => a - b);
      const at = share => Number((latencies[Math.floor(latencies.length * share)] ?? 0).toFixed(3));
      resolve({ sent: next, answered, seconds: took, p50Ms: at(0.5), p99Ms: at(0.99) });
    }, seconds * 1000);
  });
}

const cores = os.availableParallelism();
if (cores > 1) spawnSync('taskset', ['-a', '-p', '-c', `1-${cores - 1}`, String(process.pid)]);
const onOneCore = command => (cores > 1 ? ['taskset', '-c', '0', ...command] : command);
const start = (command, stdio) => spawn(command[0], command.slice(1), { stdio });

const naru = start(onOneCore([process.execPath, '--max-semi-space-size=1', bundle]), ['pipe', 'pipe', 'inherit']);
const { port, upstream, services } = JSON.parse(String(await once(naru.stdout, 'data')));
const nameOf = i => `service-${i}.bench.svc.cluster.local`;
const many = Array.from({ length: services }, (_, i) => i);
const scenarios = {
  'one service': [question(nameOf(0), 'A')],
  'every service': many.map(i => question(nameOf(i), 'A')),
  'headless of 10': [question(nameOf(1), 'A')],
  'SRV of headless': [question(`_http._tcp.${nameOf(1)}`, 'SRV')],
  'no such name': many.map(i => question(`${nameOf(i)}.svc.cluster.local`, 'A')),
  reverse: [question('0.0.96.10.in-addr.arpa', 'PTR')],
  'forwarded, cached': [question('www.example.com', 'A')],
};

async function freePort() {
  const socket = createSocket('udp4').bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const { port } = socket.address();
  await new Promise(resolve => socket.close(resolve));
  return port;
}

/** The same names and addresses as hosts; it has no SRV records of several targets. */
async function startDnsmasq() {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'naru-bench-dns-'));
  const addresses = i =>
    i % 2 === 0
      ? [`10.96.${i >> 8}.${i & 255}`]
      : Array.from({ length: 10 }, (_, n) => `10.244.${i >> 5}.${(i & 31) * 8 + n}`);
  const hosts = path.join(dir, 'hosts');
  writeFileSync(hosts, many.flatMap(i => addresses(i).map(address => `${address} ${nameOf(i)}\n`)).join(''));
  const port = await freePort();
  const settings = [
    'keep-in-foreground',
    'conf-file=/dev/null',
    'no-hosts',
    'no-resolv',
    'bind-interfaces',
    'user=root',
  ];
  settings.push('listen-address=127.0.0.1', `port=${port}`, `addn-hosts=${hosts}`, 'local-ttl=30', 'pid-file=');
  settings.push('local=/cluster.local/', `server=127.0.0.1#${upstream}`, 'cache-size=10000');
  const child = start(onOneCore(['dnsmasq', ...settings.map(setting => `--${setting}`)]), [
    'ignore',
    'inherit',
    'inherit',
  ]);
  child.once('exit', () => rmSync(dir, { recursive: true }));
  await answers(port);
  return { name: 'dnsmasq', child, port, lacks: ['SRV of headless'], stop: () => child.kill() };
}

/** Resolves when the server answers its first question. */
async function answers(port) {
  const socket = createSocket('udp4');
  // Until it listens, the kernel says so.
  socket.on('error', () => {});
  const timer = setInterval(() => socket.send(scenarios['one service'][0], port, '127.0.0.1'), 100);
  await once(socket, 'message');
  clearInterval(timer);
  socket.close();
}

const servers = [{ name: 'naru', child: naru, port, lacks: [], stop: () => naru.stdin.end() }];
if (process.env.PEER === 'dnsmasq') servers.push(await startDnsmasq());
else if (process.env.PEER) throw new Error(`there is no peer ${process.env.PEER}`);

const measure = async ({ name, child, port }, scenario, options) => {
  const before = cpuSeconds(child.pid);
  const { answered, sent, seconds: took, p50Ms, p99Ms } = await load(port, scenarios[scenario], options);
  const answersPerSecond = Math.round(answered / took);
  const answersPerCpuSecond = Math.round(answered / (cpuSeconds(child.pid) - before));
  const lost = options.rate ? sent - answered : undefined;
  const residentMB = Number(residentMb(child.pid).toFixed(1));
  const figures = { answersPerSecond, answersPerCpuSecond, p50Ms, p99Ms, lost, residentMB };
  console.log(JSON.stringify({ server: name, scenario, ...options, ...figures }));
  return figures;
};
const cached = new Map();
const atHalf = new Map();
for (const scenario of Object.keys(scenarios))
  for (const server of servers.filter(({ lacks }) => !lacks.includes(scenario)))
    cached.set(server, await measure(server, scenario, {}));
for (const server of servers) atHalf.set(server, await measure(server, 'forwarded, cached', { rate: 15_000 }));
for (const server of servers) {
  const [{ answersPerSecond, answersPerCpuSecond }, { p99Ms, lost }] = [cached.get(server), atHalf.get(server)];
  const half = { p99MsAt15000: p99Ms, lostAt15000: lost };
  console.log(
    JSON.stringify({ server: server.name, summary: 'cached', answersPerSecond, answersPerCpuSecond, ...half }),
  );
  server.stop();
}
