// How fast one api-server is: starts a built one on a fresh store, runs bench/api-load.mjs on it and prints what that prints.
//   node bench/api.mjs [--store lmdb|etcd] [--load SCRIPT] [--prof] [-- flags of the load]
// --load takes any script with the flags --server and --token. --prof leaves a V8 CPU profile in the current folder.
import { spawn, execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, loadavg, tmpdir, totalmem } from 'node:os';
import net from 'node:net';
import path from 'node:path';
import { parseArgs } from 'node:util';

const root = path.resolve(import.meta.dirname, '..');
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    store: { type: 'string', default: 'lmdb' },
    load: { type: 'string', default: path.join(import.meta.dirname, 'api-load.mjs') },
    prof: { type: 'boolean', default: false },
  },
});

const folder = mkdtempSync(path.join(tmpdir(), 'naru-bench-api-'));
const children = [];

function start(command, args, env = {}) {
  const child = spawn(command, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'ignore', 'inherit'] });
  children.push(child);
  return child;
}

async function freePort() {
  const server = net.createServer().listen(0, '127.0.0.1');
  await new Promise(resolve => server.once('listening', resolve));
  const { port } = server.address();
  await new Promise(resolve => server.close(resolve));
  return port;
}

function run(command, args) {
  const child = spawn(command, args, { stdio: 'inherit' });
  return new Promise(resolve => child.once('exit', resolve));
}

async function answers(url) {
  process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0';
  for (let i = 0; i < 600; i++) {
    const reply = await fetch(url).catch(() => undefined);
    if (reply?.ok) return;
    await new Promise(resolve => setTimeout(resolve, 100));
  }
  throw new Error(`${url} does not answer`);
}
process.removeAllListeners('warning');

const [port, grpcPort, etcdPort, peerPort] = [await freePort(), await freePort(), await freePort(), await freePort()];
const flags = [];
if (values.store === 'etcd') {
  const client = `http://127.0.0.1:${etcdPort}`;
  const peer = `http://127.0.0.1:${peerPort}`;
  start('etcd', [
    ...['--data-dir', path.join(folder, 'etcd'), '--listen-client-urls', client, '--advertise-client-urls', client],
    ...['--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer, '--initial-cluster', `default=${peer}`],
    ...['--log-level', 'error'],
  ]);
  await answers(`${client}/health`);
  flags.push('--etcd-servers', client);
}
const nodeFlags = values.prof ? '--cpu-prof --cpu-prof-interval 500' : '';
const server = start(path.join(root, 'apps/api-server/dev.sh'), [path.join(folder, 'server'), ...flags], {
  PORT: String(port),
  GRPC_PORT: String(grpcPort),
  NO_BUILD: '1',
  NODE_FLAGS: nodeFlags,
});
try {
  const url = `https://127.0.0.1:${port}`;
  await answers(`${url}/readyz`);
  const commit = execFileSync('git', ['-C', root, 'rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim();
  const machine = `${cpus().length} × ${cpus()[0].model.trim()}, ${Math.round(totalmem() / 1e9)} GB`;
  const load = loadavg()[0].toFixed(1);
  console.log(
    JSON.stringify({ commit, store: values.store, machine, loadBefore: load, date: new Date().toISOString() }),
  );
  const own = values.load.startsWith(import.meta.dirname) ? ['--pid', String(server.pid)] : [];
  process.exitCode = await run(process.execPath, [
    values.load,
    '--server',
    url,
    '--token',
    'dev-token',
    ...own,
    ...positionals,
  ]);
} finally {
  const [first, ...others] = children.reverse();
  const ended = new Promise(resolve => first.once('exit', resolve));
  first.kill('SIGTERM');
  await ended;
  for (const child of others) child.kill('SIGTERM');
  rmSync(folder, { recursive: true, force: true });
}
