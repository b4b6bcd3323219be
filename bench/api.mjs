// How fast one api-server is: starts a built one on a fresh store, runs bench/api-load.mjs on it and prints what that prints.
//   node bench/api.mjs [--store lmdb|etcd] [--load SCRIPT] [--prof] [-- flags of the load]
// --load takes any script with the flags --server and --token. --prof leaves a V8 CPU profile in the current folder.
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, loadavg, tmpdir, totalmem } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { Processes, answers, freePort, root } from './dev-server.mjs';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    store: { type: 'string', default: 'lmdb' },
    load: { type: 'string', default: path.join(import.meta.dirname, 'api-load.mjs') },
    prof: { type: 'boolean', default: false },
  },
});

const folder = mkdtempSync(path.join(tmpdir(), 'naru-bench-api-'));
const processes = new Processes();

function run(command, args) {
  const child = spawn(command, args, { stdio: 'inherit' });
  return new Promise(resolve => child.once('exit', resolve));
}

const [port, grpcPort, etcdPort, peerPort] = [await freePort(), await freePort(), await freePort(), await freePort()];
const flags = [];
if (values.store === 'etcd') {
  const client = `http://127.0.0.1:${etcdPort}`;
  const peer = `http://127.0.0.1:${peerPort}`;
  processes.start('etcd', [
    ...['--data-dir', path.join(folder, 'etcd'), '--listen-client-urls', client, '--advertise-client-urls', client],
    ...['--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer, '--initial-cluster', `default=${peer}`],
    ...['--log-level', 'error'],
  ]);
  await answers(`${client}/health`);
  flags.push('--etcd-servers', client);
}
const server = processes.startApiServer(path.join(folder, 'server'), {
  port,
  grpcPort,
  flags,
  nodeFlags: values.prof ? '--cpu-prof --cpu-prof-interval 500' : '',
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
  await processes.stop();
  rmSync(folder, { recursive: true, force: true });
}
