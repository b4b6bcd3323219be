// How long a pull of a large image takes from a registry on loopback, beside what skopeo (to a directory) takes with umoci or tar
// (unpacking) for the same. Starts a registry and a runtime of its own; needs root, docker-registry, skopeo and umoci.
//   node bench/image-pull.mjs [--megabytes 200] [--layers 4] [--rounds 5]
// Prints one JSON line a way of doing it. The goal: our pull takes at most 1.5 times as long as two tools together.
import { execFile, execFileSync, spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { quantile } from './kube-rest.mjs';

const { values } = parseArgs({
  options: {
    megabytes: { type: 'string', default: '200' },
    layers: { type: 'string', default: '4' },
    rounds: { type: 'string', default: '5' },
  },
});
const run = promisify(execFile);
const root = path.resolve(import.meta.dirname, '..');
const work = fs.mkdtempSync(path.join(os.tmpdir(), 'naru-image-pull-'));
const layerCount = Number(values.layers);
const bytes = Number(values.megabytes) * 1e6;
const cgroup = 'naru-image-pull';
const digestOf = content => `sha256:${createHash('sha256').update(content).digest('hex')}`;

/** A layer of files of many sizes, half of whose bytes compress well, as programs do. */
function layer(number, total) {
  const directory = path.join(work, 'source', String(number));
  const sizes = [200, 4_000, 30_000, 300_000, 3_000_000];
  let written = 0;
  for (let i = 0; written < total; i++) {
    const size = sizes[i % sizes.length];
    const file = path.join(directory, 'usr', `l${number}`, `d${i % 50}`, `f${i}`);
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(file, Buffer.concat([randomBytes(size / 2), Buffer.alloc(size / 2, `line ${i} of a text\n`)]));
    written += size;
  }
  return execFileSync('tar', ['-C', directory, '--owner=0', '--group=0', '-cf', '-', 'usr'], { maxBuffer: 2 ** 31 });
}

/** An OCI layout; answers with the layers' descriptors. */
function writeImage(directory) {
  const blobs = path.join(directory, 'blobs/sha256');
  fs.mkdirSync(blobs, { recursive: true });
  const put = (content, mediaType) => {
    const digest = digestOf(content);
    fs.writeFileSync(path.join(blobs, digest.slice(7)), content);
    return { mediaType, digest, size: content.length };
  };
  const tars = Array.from({ length: layerCount }, (_, number) => layer(number, bytes / layerCount));
  const layers = tars.map(tar => put(gzipSync(tar), 'application/vnd.oci.image.layer.v1.tar+gzip'));
  const architecture = { x64: 'amd64' }[process.arch] ?? process.arch;
  const rootfs = { type: 'layers', diff_ids: tars.map(digestOf) };
  const config = put(
    Buffer.from(JSON.stringify({ architecture, os: 'linux', config: {}, rootfs })),
    'application/vnd.oci.image.config.v1+json',
  );
  const mediaType = 'application/vnd.oci.image.manifest.v1+json';
  const manifest = put(Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, config, layers })), mediaType);
  const annotations = { 'org.opencontainers.image.ref.name': 'v1' };
  fs.writeFileSync(
    path.join(directory, 'index.json'),
    JSON.stringify({ schemaVersion: 2, manifests: [{ ...manifest, annotations }] }),
  );
  fs.writeFileSync(path.join(directory, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }));
  return layers;
}

async function untilAnswers(check) {
  for (let attempt = 0; ; attempt++) {
    try {
      return await check();
    } catch (error) {
      if (attempt === 100) throw error;
      await new Promise(resolve => setTimeout(resolve, 100));
    }
  }
}

const processes = [];
const start = (command, args, options = {}) => {
  const log = fs.openSync(path.join(work, `${path.basename(command)}.log`), 'a');
  const child = spawn(command, args, { stdio: ['ignore', log, log], ...options });
  processes.push(child);
  return child;
};

async function timed(work) {
  const begun = performance.now();
  await work();
  return performance.now() - begun;
}

try {
  const layers = writeImage(path.join(work, 'image'));
  fs.rmSync(path.join(work, 'source'), { recursive: true });
  const port = 6000 + (process.pid % 1000);
  const registry = `127.0.0.1:${port}`;
  fs.writeFileSync(
    path.join(work, 'registry.yml'),
    `version: 0.1\nstorage: { filesystem: { rootdirectory: ${work}/registry } }\nhttp: { addr: "${registry}" }\n`,
  );
  start('docker-registry', ['serve', path.join(work, 'registry.yml')]);
  await untilAnswers(() => fetch(`http://${registry}/v2/`));
  await run('skopeo', ['copy', '--dest-tls-verify=false', `oci:${work}/image:v1`, `docker://${registry}/bench:v1`]);

  execFileSync('node', ['../../tools/build.mjs'], { cwd: path.join(root, 'apps/runtime') });
  fs.writeFileSync(
    path.join(work, 'registries.json'),
    JSON.stringify({ registries: { [registry]: { plainHttp: true } } }),
  );
  const pulls = path.join(root, 'bench/image-pull-client.ts');
  const { build } = await import('esbuild');
  const client = path.join(root, 'dist/bench/image-pull-client.js');
  await build({
    entryPoints: [pulls],
    outfile: client,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    logLevel: 'warning',
  });
  const ours = async round => {
    const socket = path.join(work, `runtime-${round}.sock`);
    const flags = [
      `--listen=unix://${socket}`,
      ...['root', 'state', 'image-store'].map(name => `--${name}=${work}/${round}-${name}`),
      `--cni-conf-dir=${work}/cni`,
      `--registry-config=${work}/registries.json`,
      '--streaming-address=127.0.0.1:0',
      '--health-address=127.0.0.1:0',
      `--cgroup-parent=/${cgroup}`,
    ];
    const runtime = start('node', [path.join(root, 'dist/apps/runtime/main.js'), ...flags]);
    const { stdout } = await run('node', [client, socket, `${registry}/bench:v1`]);
    const rss = /VmHWM:\s+(\d+)/.exec(fs.readFileSync(`/proc/${runtime.pid}/status`, 'utf8'))?.[1];
    const ended = new Promise(resolve => runtime.once('exit', resolve));
    runtime.kill('SIGTERM');
    await ended;
    fs.rmSync(path.join(work, `${round}-image-store`), { recursive: true });
    return { ms: Number(stdout), rss: Number(rss) };
  };
  const theirs = async round => {
    const [layout, bundle] = ['layout', 'bundle'].map(name => path.join(work, `${round}-${name}`));
    const copied = await timed(() =>
      run('skopeo', ['copy', '--src-tls-verify=false', `docker://${registry}/bench:v1`, `oci:${layout}:v1`]),
    );
    const unpacked = await timed(() => run('umoci', ['unpack', '--image', `${layout}:v1`, bundle]));
    const untarred = await timed(async () => {
      fs.mkdirSync(path.join(work, 'untarred'));
      for (const { digest } of layers)
        await run('tar', ['-C', path.join(work, 'untarred'), '-xzf', `${layout}/blobs/sha256/${digest.slice(7)}`]);
    });
    fs.rmSync(path.join(work, 'untarred'), { recursive: true });
    for (const each of [layout, bundle]) fs.rmSync(each, { recursive: true });
    return { copied, unpacked, untarred };
  };
  const rows = { ours: [], copied: [], umoci: [], tar: [], rss: [] };
  // By turns, so that whatever else the machine does falls on both.
  for (let round = 0; round < Number(values.rounds); round++) {
    const { copied, unpacked, untarred } = await theirs(round);
    rows.copied.push(copied);
    rows.umoci.push(copied + unpacked);
    rows.tar.push(copied + untarred);
    const { ms, rss } = await ours(round);
    rows.ours.push(ms);
    rows.rss.push(rss);
  }
  const print = (way, samples) =>
    console.log(
      JSON.stringify({
        way,
        n: samples.length,
        p50ms: Math.round(quantile(samples, 0.5)),
        maxMs: Math.round(Math.max(...samples)),
      }),
    );
  console.log(
    JSON.stringify({
      unpackedMB: Number(values.megabytes),
      compressedMB: Math.round(layers.reduce((sum, { size }) => sum + size, 0) / 1e6),
      layers: layerCount,
    }),
  );
  print('skopeo copy', rows.copied);
  print('skopeo copy, umoci unpack', rows.umoci);
  print('skopeo copy, tar -xz', rows.tar);
  print('PullImage of naru', rows.ours);
  const ratioTo = samples => Math.round((quantile(rows.ours, 0.5) / quantile(samples, 0.5)) * 100) / 100;
  console.log(
    JSON.stringify({
      ratioToUmoci: ratioTo(rows.umoci),
      ratioToTar: ratioTo(rows.tar),
      runtimePeakMB: Math.round(Math.max(...rows.rss) / 1024),
    }),
  );
} finally {
  for (const child of processes) if (child.exitCode === null) child.kill('SIGTERM');
  await Promise.all(
    processes.map(
      child =>
        child.exitCode === null && child.signalCode === null && new Promise(resolve => child.once('exit', resolve)),
    ),
  );
  execFileSync('find', ['/sys/fs/cgroup', '-maxdepth', '2', '-depth', '-name', cgroup, '-exec', 'rmdir', '{}', '+']);
  fs.rmSync(work, { recursive: true, force: true });
}
