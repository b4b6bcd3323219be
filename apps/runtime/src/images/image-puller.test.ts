import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { cri } from '@naru/proto';
import { silentLogger } from '@naru/foundation';
import { busyboxImage, eventually, freePort, layerTar, writeOciLayout, type ImageDescription } from '@naru/testing';
import { describeWithRoot } from '../testing/runtime-harness';
import { loadArchive } from './archive-loader';
import { ImagePuller } from './image-puller';
import { ImageStore } from './image-store';

const small: ImageDescription = {
  config: { User: '1000', Cmd: ['/hello'] },
  layers: [
    [{ name: 'hello', content: 'hello', mode: 0o755 }],
    [{ name: '.wh.hello' }, { name: 'bye', content: 'bye' }],
  ],
};

interface OciIndex {
  manifests: { digest: string }[];
}

describeWithRoot('pulling images', () => {
  const base = fs.mkdtempSync(path.join(os.tmpdir(), 'naru-pull-'));
  let registry: ChildProcess;
  let front: http.Server;
  let port: number;
  /** What the server in front of the registry does with a request; true: it has answered. */
  let intercept: (request: http.IncomingMessage, response: http.ServerResponse) => boolean = () => false;
  let id: string;
  let stores = 0;

  const puller = (
    store = new ImageStore(path.join(base, `store-${stores++}`)),
  ): { store: ImageStore; puller: ImagePuller } => ({
    store,
    puller: new ImagePuller({ store, config: {}, logger: silentLogger, signal: new AbortController().signal }),
  });
  const frontAddress = (): string => `127.0.0.1:${(front.address() as AddressInfo).port}`;

  beforeAll(async () => {
    port = await freePort();
    const config = path.join(base, 'config.yml');
    fs.writeFileSync(
      config,
      `version: 0.1\nlog: { level: error }\nstorage:\n  filesystem: { rootdirectory: ${base}/registry }\nhttp: { addr: 127.0.0.1:${port} }\n`,
    );
    registry = spawn('docker-registry', ['serve', config], { stdio: 'ignore' });
    await eventually(async () => void (await fetch(`http://127.0.0.1:${port}/v2/`)));
    ({ id } = await writeOciLayout(path.join(base, 'layout'), { ...small, name: 'latest' }));
    execFileSync('skopeo', [
      '--insecure-policy',
      'copy',
      '-q',
      '--dest-tls-verify=false',
      `oci:${base}/layout:latest`,
      `docker://127.0.0.1:${port}/team/app:1`,
    ]);
    // Stands before the registry, to spoil its answers.
    front = http.createServer((request, response) => {
      if (intercept(request, response)) return;
      const upstream = http.request(
        { port, host: '127.0.0.1', path: request.url, headers: request.headers },
        answer => {
          response.writeHead(answer.statusCode ?? 500, answer.headers);
          answer.pipe(response);
        },
      );
      upstream.end();
    });
    await new Promise<void>(resolve => front.listen(0, '127.0.0.1', resolve));
  });
  afterAll(async () => {
    front.closeAllConnections();
    await new Promise(resolve => front.close(resolve));
    const ended = new Promise(resolve => registry.once('exit', resolve));
    registry.kill();
    await ended;
    fs.rmSync(base, { recursive: true, force: true });
  });
  beforeEach(() => (intercept = () => false));

  test('an image comes from a real registry, under its tag, its digest and its id', async () => {
    const { store, puller: pull } = puller();
    const name = `127.0.0.1:${port}/team/app:1`;
    expect(await pull.pull(name, undefined)).toBe(id);
    const image = store.get(name);
    expect(image).toMatchObject({
      id,
      tags: [name],
      digests: [expect.stringMatching(/^127\.0\.0\.1:\d+\/team\/app@sha256:[0-9a-f]{64}$/)],
    });
    expect(image.size).toBeGreaterThan(100);
    expect(store.find(id)?.id).toBe(id);
    expect(store.find(image.digests[0] ?? '')?.id).toBe(id);
    const [, top] = image.config.rootfs.diff_ids;
    expect(fs.readdirSync(path.join(store.layers.directory, store.layers.relativePath(top ?? ''))).sort()).toEqual([
      'bye',
      'hello',
    ]);
    await store.remove(name);
    expect(store.list()).toEqual([]);
    expect(fs.readdirSync(store.layers.directory)).toEqual([]);
    expect(fs.readdirSync(path.join(store.directory, 'tmp'))).toEqual([]);
  });

  test("a missing image is refused in the registry's own words", async () => {
    const { puller: pull } = puller();
    await expect(pull.pull(`127.0.0.1:${port}/team/app:none`, undefined)).rejects.toMatchObject({
      reason: 'NotFound',
      message: expect.stringContaining('manifest unknown'),
    });
  });

  test('content that is not what its digest says is not kept', async () => {
    const { store, puller: pull } = puller();
    intercept = (request, response) => {
      if (!request.url?.includes('/blobs/') || request.url.includes(id)) return false;
      response.end('something else');
      return true;
    };
    await expect(pull.pull(`${frontAddress()}/team/app:1`, undefined)).rejects.toThrow();
    expect(store.list()).toEqual([]);
    expect(store.layers.list()).toEqual([]);
    expect(fs.readdirSync(path.join(store.directory, 'tmp'))).toEqual([]);
  });

  test('a connection that breaks off, an answer that nobody asked for and a server in trouble are tried again', async () => {
    const { puller: pull } = puller();
    const seen = new Map<string, number>();
    intercept = (request, response) => {
      const times = (seen.get(request.url ?? '') ?? 0) + 1;
      seen.set(request.url ?? '', times);
      if (times > 1) return false;
      if (request.url?.includes('/manifests/')) response.writeHead(503).end();
      else if (request.url?.includes(id))
        request.socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\n');
      else {
        response.writeHead(200, { 'content-length': '1000' }).flushHeaders();
        setImmediate(() => response.destroy());
      }
      return true;
    };
    expect(await pull.pull(`${frontAddress()}/team/app:1`, undefined)).toBe(id);
  });

  test('a layer that breaks off goes on where it was', async () => {
    const { puller: pull } = puller();
    const ranges: string[] = [];
    intercept = (request, response) => {
      const { range } = request.headers;
      if (range) ranges.push(range);
      if (range || !request.url?.includes('/blobs/') || request.url.includes(id)) return false;
      http.get({ port, host: '127.0.0.1', path: request.url }, answer => {
        response.writeHead(200, answer.headers);
        // Not all of it.
        answer.once('data', (chunk: Buffer) => {
          response.write(chunk.subarray(0, 40), () => setImmediate(() => response.destroy()));
          answer.destroy();
        });
      });
      return true;
    };
    expect(await pull.pull(`${frontAddress()}/team/app:1`, undefined)).toBe(id);
    expect(ranges).toEqual(['bytes=40-', 'bytes=40-']);
  });

  test('a wrong layer is named by the digest that it has and the one that it should have', async () => {
    const { puller: pull } = puller();
    const wrong = gzipSync(await layerTar([{ name: 'a' }]));
    const digest = `sha256:${createHash('sha256').update(wrong).digest('hex')}`;
    intercept = (request, response) => {
      if (!request.url?.includes('/blobs/') || request.url.includes(id)) return false;
      // Smaller than the manifest says, so that only the digest can tell.
      response.end(wrong);
      return true;
    };
    await expect(pull.pull(`${frontAddress()}/team/app:1`, undefined)).rejects.toThrow(
      new RegExp(`unexpected content digest ${digest}, expected sha256:[0-9a-f]{64}`),
    );
  });

  test('a registry is asked by its mirrors, and itself when they have nothing', async () => {
    const store = new ImageStore(path.join(base, `store-${stores++}`));
    const mirrors = [`http://${frontAddress()}`, `http://127.0.0.1:${port}`];
    const mirrored = new ImagePuller({
      store,
      config: { registries: { 'registry.test': { mirrors } } },
      logger: silentLogger,
      signal: new AbortController().signal,
    });
    intercept = (_, response) => {
      response.writeHead(404).end();
      return true;
    };
    expect(await mirrored.pull('registry.test/team/app:1', undefined)).toBe(id);
    expect(store.get('registry.test/team/app:1').id).toBe(id);
  });

  test('a layer compressed with zstd is unpacked', async () => {
    const plain = [
      '--insecure-policy',
      'copy',
      '-q',
      '--dest-decompress',
      `oci:${base}/layout:latest`,
      `dir:${base}/plain`,
    ];
    execFileSync('skopeo', plain);
    execFileSync('skopeo', [
      ...['--insecure-policy', 'copy', '-q', '--format=oci', '--dest-compress', '--dest-compress-format=zstd'],
      ...[`dir:${base}/plain`, `oci:${base}/zstd:latest`],
    ]);
    const [manifest] = (JSON.parse(fs.readFileSync(`${base}/zstd/index.json`, 'utf8')) as OciIndex).manifests;
    expect(fs.readFileSync(`${base}/zstd/blobs/${manifest?.digest.replace(':', '/')}`, 'utf8')).toContain('tar+zstd');
    const target = `docker://127.0.0.1:${port}/team/app:zstd`;
    execFileSync('skopeo', [
      '--insecure-policy',
      'copy',
      '-q',
      '--dest-tls-verify=false',
      `oci:${base}/zstd:latest`,
      target,
    ]);
    const { store, puller: pull } = puller();
    const pulled = await pull.pull(`127.0.0.1:${port}/team/app:zstd`, undefined);
    expect(store.get(pulled).config.config?.Cmd).toEqual(['/hello']);
    expect(store.layers.list()).toHaveLength(2);
  });

  test('a registry that wants a token gets one, with the credentials of the pull', async () => {
    const { puller: pull } = puller();
    const asked: string[] = [];
    intercept = (request, response) => {
      if (request.url?.startsWith('/token')) {
        asked.push(
          `${request.url} ${Buffer.from((request.headers.authorization ?? '').slice(6), 'base64').toString()}`,
        );
        response.end(JSON.stringify({ token: request.headers.authorization ? 'good' : 'bad' }));
        return true;
      }
      if (request.headers.authorization === 'Bearer good') {
        delete request.headers.authorization;
        return false;
      }
      response.writeHead(401, {
        'www-authenticate': `Bearer realm="http://${frontAddress()}/token",service="shop",scope="repository:team/app:pull"`,
      });
      response.end(JSON.stringify({ errors: [{ code: 'UNAUTHORIZED', message: 'authentication required' }] }));
      return true;
    };
    const auth = cri.AuthConfig.fromPartial({ auth: Buffer.from('user:secret').toString('base64') });
    expect(await pull.pull(`${frontAddress()}/team/app:1`, auth)).toBe(id);
    expect(asked[0]).toContain('service=shop&scope=repository%3Ateam%2Fapp%3Apull user:secret');
    const { puller: anonymous } = puller();
    await expect(anonymous.pull(`${frontAddress()}/team/app:1`, undefined)).rejects.toMatchObject({
      reason: 'Unauthorized',
      message: expect.stringContaining('authentication required'),
    });
  });

  test('a layer that lies on another server is fetched there, without the credentials of the registry', async () => {
    const { puller: pull } = puller();
    const auth = cri.AuthConfig.fromPartial({ username: 'user', password: 'secret' });
    const elsewhere: (string | undefined)[] = [];
    const other = http.createServer((request, response) => {
      elsewhere.push(request.headers.authorization);
      http.get({ port, host: '127.0.0.1', path: request.url }, answer => answer.pipe(response));
    });
    await new Promise<void>(resolve => other.listen(0, '127.0.0.1', resolve));
    intercept = (request, response) => {
      if (!request.headers.authorization) {
        response.writeHead(401, { 'www-authenticate': 'Basic realm="shop"' }).end();
        return true;
      }
      delete request.headers.authorization;
      if (!request.url?.includes('/blobs/') || request.url.includes(id)) return false;
      const location = `http://127.0.0.1:${(other.address() as AddressInfo).port}${request.url}`;
      response.writeHead(307, { location }).end();
      return true;
    };
    expect(await pull.pull(`${frontAddress()}/team/app:1`, auth)).toBe(id);
    expect(elsewhere).toEqual([undefined, undefined]);
    other.closeAllConnections();
    await new Promise(resolve => other.close(resolve));
  });

  test('concurrent pulls of one image share the work, also from two stores on one directory', async () => {
    const { store, puller: first } = puller();
    const { puller: second } = puller(new ImageStore(store.directory));
    const name = `127.0.0.1:${port}/team/app:1`;
    expect(
      await Promise.all([first.pull(name, undefined), first.pull(name, undefined), second.pull(name, undefined)]),
    ).toEqual([id, id, id]);
    expect(store.layers.list()).toHaveLength(2);
    expect(fs.readdirSync(path.join(store.directory, 'tmp'))).toEqual([]);
  });

  test('layers stay while a container stands on them, and go with the last that needs them', async () => {
    const { store, puller: pull } = puller();
    await pull.pull(`127.0.0.1:${port}/team/app:1`, undefined);
    const owner = path.join(base, 'owner');
    fs.mkdirSync(owner);
    store.use('container', store.get(id).config.rootfs.diff_ids, owner);
    await store.remove(id);
    expect(store.layers.list()).toHaveLength(2);
    fs.rmdirSync(owner); // as when a node is deleted with all that is on it
    await store.collect();
    expect(store.layers.list()).toEqual([]);
  });

  test.each([
    ['a directory with an OCI layout', (): string => path.join(base, 'layout')],
    [
      'a tar of docker save',
      (): string => {
        execFileSync('skopeo', [
          '--insecure-policy',
          'copy',
          '-q',
          `oci:${base}/layout:latest`,
          `docker-archive:${base}/docker.tar:team/app:2`,
        ]);
        return `${base}/docker.tar`;
      },
    ],
    [
      'a compressed tar with an OCI layout',
      (): string => {
        execFileSync('tar', ['-czf', `${base}/oci.tgz`, '-C', `${base}/layout`, '.']);
        return `${base}/oci.tgz`;
      },
    ],
  ])('%s is loaded', async (_, archive) => {
    const { store } = puller();
    const [loaded] = await loadArchive(store, archive(), 'team/app:2');
    expect(store.get('docker.io/team/app:2').config.config?.Cmd).toEqual(['/hello']);
    expect(loaded?.references).toContain(store.get('team/app:2').tags[0]);
    // Nothing could bring it back.
    expect(store.get('team/app:2').pinned).toBe(true);
    expect(store.layers.list()).toHaveLength(2);
  });

  test('something that is no image archive is refused', async () => {
    fs.writeFileSync(path.join(base, 'nonsense'), 'nonsense');
    await expect(loadArchive(puller().store, path.join(base, 'nonsense'))).rejects.toMatchObject({
      reason: 'BadRequest',
    });
    expect(busyboxImage().layers[0]?.length).toBeGreaterThan(100);
  });
});
