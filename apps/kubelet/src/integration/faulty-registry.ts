import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { layerTar, writeOciLayout, type ImageDescription } from '@naru/testing';

/** How a repository's layers are spoiled. */
const faults = ['none', 'large', 'wrong-digest', 'cut', 'hang', 'bad-manifest', 'denied', 'private'] as const;
/** user:password, as it is sent, of the repository `private`. */
export const privateCredential = Buffer.from('reader:secret').toString('base64');
/** More than a disk has room for that is almost full. */
const largeBytes = 8 << 20;
export type Fault = (typeof faults)[number];

/** A registry with a repository for each fault. Each has a layer that no other has: who waits for the same one shares its fate. */
export class FaultyRegistry {
  private readonly server = http.createServer((request, response) => this.answer(request, response));
  private readonly manifests = new Map<string, string>();

  private constructor(
    private readonly directory: string,
    private readonly address: { host: string; port: number },
  ) {}

  static async serve(
    directory: string,
    image: ImageDescription,
    address: { host: string; port: number },
  ): Promise<FaultyRegistry> {
    const registry = new FaultyRegistry(directory, address);
    for (const fault of faults) {
      const layers = [...image.layers, [{ name: 'own', content: randomBytes(fault === 'large' ? largeBytes : 4096) }]];
      registry.manifests.set(fault, (await writeOciLayout(directory, { ...image, layers })).manifest);
    }
    registry.other = gzipSync(await layerTar([{ name: 'a' }]));
    await new Promise<void>(resolve => registry.server.listen(address.port, address.host, resolve));
    return registry;
  }

  private other = Buffer.alloc(0);

  image(fault: Fault): string {
    return `${this.address.host}:${this.address.port}/faults/${fault}:1`;
  }

  async close(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise(resolve => this.server.close(resolve));
  }

  private answer(request: http.IncomingMessage, response: http.ServerResponse): void {
    const [, fault = '', kind, reference = ''] =
      /^\/v2\/faults\/([a-z-]+)\/(manifests|blobs)\/(.+)$/.exec(request.url ?? '') ?? [];
    if (fault === 'private' && request.headers.authorization !== `Basic ${privateCredential}`) {
      response
        .writeHead(401, { 'www-authenticate': 'Basic realm="private"' })
        .end(JSON.stringify({ errors: [{ code: 'UNAUTHORIZED', message: 'authentication required' }] }));
    } else if (fault === 'denied') {
      response
        .writeHead(403)
        .end(JSON.stringify({ errors: [{ code: 'DENIED', message: 'requested access is denied' }] }));
    } else if (kind === 'manifests') {
      response.setHeader('content-type', 'application/vnd.oci.image.manifest.v1+json');
      response.end(
        fault === 'bad-manifest' ? '{"schemaVersion":2,"layers":"none"}' : this.blob(this.manifests.get(fault) ?? ''),
      );
    } else this.layer(response, fault as Fault, this.blob(reference));
  }

  private layer(response: http.ServerResponse, fault: Fault, content: Buffer): void {
    const isLayer = content[0] === 0x1f;
    if (!isLayer || fault === 'none' || fault === 'private' || fault === 'large') return void response.end(content);
    if (fault === 'wrong-digest') return void response.end(this.other);
    response.writeHead(200, { 'content-length': String(content.length) });
    response.write(content.subarray(0, content.length >> 1), () => {
      if (fault === 'cut') setImmediate(() => response.destroy());
    });
  }

  private blob(digest: string): Buffer {
    return fs.readFileSync(path.join(this.directory, 'blobs', digest.replace(':', '/')));
  }
}
