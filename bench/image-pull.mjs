// How long a pull of a large image takes from a registry on loopback, beside what skopeo (to a directory) takes with umoci or tar
// (unpacking) for the same. Starts a registry and a runtime of its own; needs root, docker-registry, skopeo and umoci.
//   node bench/image-pull.mjs [--megabytes 200] [--layers 4] [--rounds 5] [--runtime MAIN.js]...
// Prints one JSON line a way of doing it: time, and processor time of all its processes, which other load bends less. The goal: our pull takes
// at most 1.5 times as long as two tools together. Several builds of the runtime (`--runtime`) take turns, as all ways do.
import { execFile, execFileSync, spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { quantile } from './kube-rest.mjs';
import { cpuSeconds } from './node-processes.mjs';

const { values } = parseArgs({
  options: {
    megabytes: { type: 'string', default: '200' },
    layers: { type: 'string', default: '4' },
    rounds: { type: 'string', default: '5' },
    runtime: { type: 'string', multiple: true, default: [] },
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

/** What some programs take that this process starts and waits for. */
async function timed(work) {
  const [begun, used] = [performance.now(), cpuSeconds(process.pid)];
  const own = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(own);
  const cpu = (cpuSeconds(process.pid) - used) * 1000 - (user + system) / 1000;
  return { ms: performance.now() - begun, cpu };
}
const sum = (...parts) => ({
  ms: parts.reduce((total, { ms }) => total + ms, 0),
  cpu: parts.reduce((total, { cpu }) => total + cpu, 0),
});

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

  const built = path.join(root, 'dist/apps/runtime/main.js');
  const runtimes = values.runtime.length > 0 ? values.runtime : [built];
  if (runtimes.includes(built))
    execFileSync('node', ['../../tools/build.mjs'], { cwd: path.join(root, 'apps/runtime') });
  fs.writeFileSync(
    path.join(work, 'registries.json'),
    JSON.stringify({ registries: { [registry]: { plainHttp: true } } }),
  );
  const { build } = await import('esbuild');
  const output = path.join(root, 'dist/bench');
  await build({
    entryPoints: [path.join(root, 'bench/image-pull-client.ts'), path.join(root, 'apps/naru/src/frugal.ts')],
    outdir: output,
    entryNames: '[name]',
    bundle: true,
    platform: 'node',
    format: 'cjs',
    logLevel: 'warning',
  });
  const client = path.join(output, 'image-pull-client.js');
  const { frugal } = (await import(path.join(output, 'frugal.js'))).default;
  const ours = async (main, round) => {
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
    // As a node's agent starts it.
    const runtime = start('node', [...frugal.options, main, ...flags], {
      env: { ...process.env, ...frugal.environment },
    });
    await untilAnswers(() => fs.promises.access(socket));
    const used = cpuSeconds(runtime.pid);
    const { stdout } = await run('node', [client, socket, `${registry}/bench:v1`]);
    const cpu = (cpuSeconds(runtime.pid) - used) * 1000;
    const rss = /VmHWM:\s+(\d+)/.exec(fs.readFileSync(`/proc/${runtime.pid}/status`, 'utf8'))?.[1];
    const ended = new Promise(resolve => runtime.once('exit', resolve));
    runtime.kill('SIGTERM');
    await ended;
    fs.rmSync(path.join(work, `${round}-image-store`), { recursive: true });
    return { ms: Number(stdout), cpu, rss: Number(rss) };
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
  const rows = new Map();
  const note = (way, row) => rows.set(way, [...(rows.get(way) ?? []), row]);
  const bySkopeo = ['skopeo copy', 'skopeo copy, umoci unpack', 'skopeo copy, tar -xz'];
  const byRuntime = main => `PullImage of ${path.relative(root, main)}`;
  // By turns, so that whatever else the machine does falls on both.
  for (let round = 0; round < Number(values.rounds); round++) {
    const { copied, unpacked, untarred } = await theirs(round);
    note(bySkopeo[0], copied);
    note(bySkopeo[1], sum(copied, unpacked));
    note(bySkopeo[2], sum(copied, untarred));
    for (const [number, main] of runtimes.entries()) note(byRuntime(main), await ours(main, `${round}-${number}`));
  }
  const median = (way, field) =>
    quantile(
      rows.get(way).map(row => row[field]),
      0.5,
    );
  console.log(
    JSON.stringify({
      unpackedMB: Number(values.megabytes),
      compressedMB: Math.round(layers.reduce((sum, { size }) => sum + size, 0) / 1e6),
      layers: layerCount,
    }),
  );
  for (const [way, samples] of rows) {
    console.log(
      JSON.stringify({
        way,
        n: samples.length,
        p50ms: Math.round(median(way, 'ms')),
        maxMs: Math.round(Math.max(...samples.map(({ ms }) => ms))),
        cpuP50Ms: Math.round(median(way, 'cpu')),
      }),
    );
  }
  const ratio = (way, other, field) => Math.round((median(way, field) / median(other, field)) * 100) / 100;
  for (const way of runtimes.map(byRuntime)) {
    console.log(
      JSON.stringify({
        way,
        ratioToUmoci: ratio(way, bySkopeo[1], 'ms'),
        ratioToTar: ratio(way, bySkopeo[2], 'ms'),
        cpuRatioToTar: ratio(way, bySkopeo[2], 'cpu'),
        runtimePeakMB: Math.round(Math.max(...rows.get(way).map(({ rss }) => rss)) / 1024),
      }),
    );
  }
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
