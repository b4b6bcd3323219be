// How many questions the cluster DNS answers, and how fast. The load and the server are a process each, so with fewer than
// two free cores look at answersPerCpuSecond, which counts the server's own time only.
// Run: node bench/dns.mjs            SERVICES=1000 SECONDS=4 WINDOW=64. One JSON line a measurement.
import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { readFileSync } from 'node:fs';
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
  external: ['lmdb', 'pino-pretty', '@lydell/node-pty'],
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
    setTimeout(() => {
      timers.forEach(clearInterval);
      socket.close();
      latencies.sort((a, b) => a - b);
      const at = share => Number((latencies[Math.floor(latencies.length * share)] ?? 0).toFixed(3));
      resolve({ sent: next, answered, seconds: (performance.now() - begin) / 1000, p50Ms: at(0.5), p99Ms: at(0.99) });
    }, seconds * 1000);
  });
}

const server = spawn(process.execPath, ['--max-semi-space-size=1', bundle], { stdio: ['pipe', 'pipe', 'inherit'] });
const { port, services } = JSON.parse(await new Promise(resolve => server.stdout.once('data', resolve)));
const many = Array.from({ length: services }, (_, i) => i);
const scenarios = {
  'one service': [question('service-0.bench.svc.cluster.local', 'A')],
  'every service': many.map(i => question(`service-${i}.bench.svc.cluster.local`, 'A')),
  'headless of 10': [question('service-1.bench.svc.cluster.local', 'A')],
  'SRV of headless': [question('_http._tcp.service-1.bench.svc.cluster.local', 'SRV')],
  'no such name': many.map(i => question(`service-${i}.bench.svc.cluster.local.svc.cluster.local`, 'A')),
  reverse: [question('0.0.96.10.in-addr.arpa', 'PTR')],
  'forwarded, cached': [question('www.example.com', 'A')],
};
const measure = async (scenario, packets, options) => {
  const before = cpuSeconds(server.pid);
  const { answered, sent, seconds: took, p50Ms, p99Ms } = await load(port, packets, options);
  const answersPerSecond = Math.round(answered / took);
  const answersPerCpuSecond = Math.round(answered / (cpuSeconds(server.pid) - before));
  const lost = options.rate ? sent - answered : undefined;
  const residentMB = Number(residentMb(server.pid).toFixed(1));
  console.log(
    JSON.stringify({ scenario, ...options, answersPerSecond, answersPerCpuSecond, p50Ms, p99Ms, lost, residentMB }),
  );
};
for (const [scenario, packets] of Object.entries(scenarios)) await measure(scenario, packets, {});
await measure('every service', scenarios['every service'], { rate: 15_000 });
server.stdin.end();
