import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { pack } from 'tar-stream';

/** One entry of a layer. */
export interface LayerEntry {
  name: string;
  type?: 'file' | 'directory' | 'symlink' | 'link' | 'character-device' | 'fifo';
  content?: string | Buffer;
  linkname?: string;
  mode?: number;
  uid?: number;
  gid?: number;
  devmajor?: number;
  devminor?: number;
  pax?: Record<string, string>;
}

export interface ImageDescription {
  /** The layers, the lowest first. */
  layers: LayerEntry[][];
  /** The image's configuration, as in Dockerfiles: Env, Entrypoint, Cmd, User, WorkingDir, StopSignal. */
  config?: Record<string, unknown>;
  /** Written as the layout's name. */
  name?: string;
}

const times = new Date(1_700_000_000_000);

/** A layer's tar. */
export async function layerTar(entries: readonly LayerEntry[]): Promise<Buffer> {
  const tar = pack();
  for (const { content = '', ...entry } of entries) {
    const type = entry.type ?? 'file';
    const header = { mode: type === 'directory' ? 0o755 : 0o644, uid: 0, gid: 0, mtime: times, ...entry, type };
    if (type === 'file') tar.entry(header, content);
    else tar.entry(header);
  }
  tar.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of tar as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function digestOf(content: Buffer | string): string {
  return `sha256:${createHash('sha256').update(content).digest('hex')}`;
}

const architectures: Record<string, string> = { x64: 'amd64', arm64: 'arm64' };

/** Writes an OCI layout into a directory; `skopeo copy oci:DIR` and `naru image load DIR` read it. Returns the image's id. */
export async function writeOciLayout(
  directory: string,
  image: ImageDescription,
): Promise<{ id: string; manifest: string }> {
  const blobs = path.join(directory, 'blobs', 'sha256');
  fs.mkdirSync(blobs, { recursive: true });
  const put = (content: Buffer | string, mediaType: string): { mediaType: string; digest: string; size: number } => {
    const digest = digestOf(content);
    fs.writeFileSync(path.join(blobs, digest.slice(7)), content);
    return { mediaType, digest, size: Buffer.byteLength(content) };
  };
  const tars = await Promise.all(image.layers.map(layerTar));
  const layers = tars.map(tar => put(gzipSync(tar), 'application/vnd.oci.image.layer.v1.tar+gzip'));
  const configuration = {
    created: times.toISOString(),
    architecture: architectures[process.arch] ?? process.arch,
    os: 'linux',
    config: image.config ?? {},
    rootfs: { type: 'layers', diff_ids: tars.map(digestOf) },
  };
  const config = put(JSON.stringify(configuration), 'application/vnd.oci.image.config.v1+json');
  const manifestType = 'application/vnd.oci.image.manifest.v1+json';
  const manifest = put(JSON.stringify({ schemaVersion: 2, mediaType: manifestType, config, layers }), manifestType);
  const annotations = image.name ? { 'org.opencontainers.image.ref.name': image.name } : {};
  fs.writeFileSync(
    path.join(directory, 'index.json'),
    JSON.stringify({ schemaVersion: 2, manifests: [{ ...manifest, annotations }] }),
  );
  fs.writeFileSync(path.join(directory, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }));
  return { id: config.digest, manifest: manifest.digest };
}

/** A small image with a whole Unix in it: the statically linked busybox of this machine (Debian's busybox-static). */
export function busyboxImage(name = 'docker.io/library/busybox:test', busybox = '/bin/busybox'): ImageDescription {
  const applets = execFileSync(busybox, ['--list'], { encoding: 'utf8' })
    .split('\n')
    .filter(applet => applet && applet !== 'busybox');
  const directory = (place: string, mode = 0o755): LayerEntry => ({ name: place, type: 'directory', mode });
  return {
    name,
    config: { Cmd: ['/bin/sh'], Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'] },
    layers: [
      [
        ...[
          directory('bin'),
          directory('etc'),
          directory('root', 0o700),
          directory('home'),
          directory('tmp', 0o1777),
          directory('var'),
        ],
        { name: 'bin/busybox', content: fs.readFileSync(busybox), mode: 0o755 },
        ...applets.map(applet => ({ name: `bin/${applet}`, type: 'symlink' as const, linkname: 'busybox' })),
        {
          name: 'etc/passwd',
          content:
            'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/home:/bin/false\nweb:x:1001:1002::/home:/bin/sh\n',
        },
        { name: 'etc/group', content: 'root:x:0:\nnogroup:x:65534:\nweb:x:1002:\nextra:x:1003:web\n' },
      ],
    ],
  };
}
