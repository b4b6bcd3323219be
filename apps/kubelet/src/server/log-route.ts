import fsp from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { StatusError } from '@naru/foundation';
import { isWithin, openBelow, placeOf } from '../volumes/open-below';
import type { Exchange, Routes } from './kubelet-server';

export interface LogRouteDeps {
  /** Where the node's logs are: /var/log. */
  directory: string;
  /** Links may lead here as well: the logs of containers. */
  alsoWithin: readonly string[];
  /** enableSystemLogHandler. */
  enabled: boolean;
}

const sniffBytes = 512;
const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&#34;',
  "'": '&#39;',
};
const escapeHtml = (text: string): string => text.replace(/[&<>"']/g, each => entities[each] ?? each);

/** The node's log files, and lists of them, as upstream's file server shows them: /logs/. */
export class LogRoute {
  readonly routes: Routes<Exchange> = { logs: exchange => this.answer(exchange) };

  constructor(private readonly deps: LogRouteDeps) {}

  private async answer({ request, response, url, parts }: Exchange): Promise<void> {
    if (!this.deps.enabled) throw new StatusError('MethodNotAllowed', 'logs endpoint is disabled.');
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      throw new StatusError('MethodNotAllowed', '405: Method Not Allowed');
    }
    const found = await this.open(parts);
    try {
      const stat = await found.stat();
      const place = placeOf(found);
      const slash = url.pathname.endsWith('/');
      if (stat.isDirectory() !== slash && parts.length > 0) {
        const name = encodeURIComponent(parts.at(-1) ?? '');
        response.writeHead(301, { location: slash ? `../${name}` : `${name}/` }).end();
      } else if (stat.isDirectory()) {
        const page = await list(place);
        response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(page);
      } else if (stat.isFile()) await send({ request, response }, place, stat.size);
      else throw new StatusError('NotFound', '404 page not found');
    } finally {
      await found.close();
    }
  }

  /** A pod that may write among the logs must not be able to show files of the node by a link. */
  private async open(parts: readonly string[]): Promise<fsp.FileHandle> {
    const { directory, alsoWithin } = this.deps;
    try {
      const file = await fsp.realpath(path.join(directory, ...parts));
      const roots = await Promise.all([directory, ...alsoWithin].map(root => fsp.realpath(root).catch(() => root)));
      const root = roots.find(each => isWithin(each, file));
      if (root !== undefined) return await openBelow(root, file);
    } catch {
      // Absent, a link that leads nowhere, or one that was none a moment ago.
    }
    throw new StatusError('NotFound', '404 page not found');
  }
}

async function list(directory: string): Promise<string> {
  const entries = await fsp.readdir(directory, { withFileTypes: true });
  const names = entries.map(entry => `${entry.name}${entry.isDirectory() ? '/' : ''}`).sort();
  const lines = names.map(
    name => `<a href="${name.split('/').map(encodeURIComponent).join('/')}">${escapeHtml(name)}</a>\n`,
  );
  const head = '<!doctype html>\n<meta name="viewport" content="width=device-width">\n';
  return `${head}<pre>\n${lines.join('')}</pre>\n`;
}

/** The bytes that a Range header asks for; undefined: all. Several ranges are answered with all, which is allowed. */
function rangeOf(header: string | undefined, size: number): { start: number; end: number } | undefined {
  const [, first = '', last = ''] = /^bytes=(\d*)-(\d*)$/.exec(header ?? '') ?? [];
  if (first === '' && last === '') return undefined;
  if (first === '') return { start: Math.max(0, size - Number(last)), end: size - 1 };
  return { start: Number(first), end: last === '' ? size - 1 : Math.min(size - 1, Number(last)) };
}

async function send(
  { request, response }: Pick<Exchange, 'request' | 'response'>,
  file: string,
  size: number,
): Promise<void> {
  const handle = await fsp.open(file, 'r');
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(sniffBytes), 0, sniffBytes, 0);
    const binary = buffer.subarray(0, bytesRead).includes(0);
    const range = rangeOf(request.headers.range, size);
    if (range && range.start > range.end) {
      response.writeHead(416, { 'content-range': `bytes */${size}` }).end();
      return;
    }
    const { start, end } = range ?? { start: 0, end: size - 1 };
    response.writeHead(range ? 206 : 200, {
      'content-type': binary ? 'application/octet-stream' : 'text/plain; charset=utf-8',
      'accept-ranges': 'bytes',
      'content-length': end - start + 1,
      ...(range ? { 'content-range': `bytes ${start}-${end}/${size}` } : {}),
    });
    if (request.method === 'HEAD' || size === 0) response.end();
    else await pipeline(handle.createReadStream({ start, end, autoClose: false }), response);
  } finally {
    await handle.close();
  }
}
