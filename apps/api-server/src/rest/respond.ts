import type { Writable } from 'node:stream';
import { StatusError } from '@naru/foundation';
import type { HttpRequest, HttpResponse } from './http';
import type { Negotiated } from './negotiate';
import { indent, isPretty } from './pretty';

/** Upstream compresses what is larger than this, for clients that ask. */
const gzipThresholdBytes = 128 * 1024;
/** Lists go out in pieces of about this size: large enough for TLS, small enough to interleave with other answers. */
const pieceBytes = 256 * 1024;

/** When there is more to say than this, each warning is cut, and what is still too much is left out. Source: apiserver endpoints/filters/warning.go. */
const maxWarningsLength = 4 * 1024;
const maxWarningLength = 256;

function fitting(warnings: readonly string[]): readonly string[] {
  if (warnings.reduce((sum, text) => sum + text.length, 0) <= maxWarningsLength) return warnings;
  let left = maxWarningsLength;
  return warnings.map(text => text.slice(0, maxWarningLength)).filter(text => (left -= text.length) >= 0);
}

export function setWarnings(response: HttpResponse, warnings: readonly string[]): void {
  if (warnings.length === 0) return;
  response.setHeader(
    'warning',
    // Header values are Latin-1 without control characters.
    fitting(warnings).map(text => `299 - "${text.replace(/[^\x20-\x7e]/g, '?').replace(/["\\]/g, '\\$&')}"`),
  );
}

export async function sendJson(
  request: HttpRequest,
  response: HttpResponse,
  code: number,
  bytes: Buffer,
  media: Negotiated['media'] = 'json',
): Promise<void> {
  if (media === 'yaml') {
    const { stringify } = await import('yaml');
    const text = stringify(JSON.parse(bytes.toString()));
    response.writeHead(code, { 'content-type': 'application/yaml', 'content-length': Buffer.byteLength(text) });
    response.end(text);
    return;
  }
  const shown = readable(request, bytes);
  if (shown.length > gzipThresholdBytes && acceptsGzip(request)) return sendCompressed(response, code, [shown]);
  response.writeHead(code, { 'content-type': 'application/json', 'content-length': shown.length });
  response.end(shown);
}

/** Sends a long answer that exists as parts, without joining it first. */
export async function sendParts(request: HttpRequest, response: HttpResponse, parts: readonly Buffer[]): Promise<void> {
  let size = 0;
  for (const part of parts) size += part.length;
  if (isPretty(request, size)) return sendJson(request, response, 200, Buffer.concat(parts, size));
  if (size > gzipThresholdBytes && acceptsGzip(request)) return sendCompressed(response, 200, parts);
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': size });
  await writeParts(response, parts);
  response.end();
}

function readable(request: HttpRequest, bytes: Buffer): Buffer {
  return isPretty(request, bytes.length) ? Buffer.from(indent(bytes.toString())) : bytes;
}

async function sendCompressed(response: HttpResponse, code: number, parts: readonly Buffer[]): Promise<void> {
  const { createGzip } = await import('node:zlib');
  response.writeHead(code, { 'content-type': 'application/json', 'content-encoding': 'gzip', vary: 'accept-encoding' });
  const gzip = createGzip({ level: 1 });
  gzip.pipe(response);
  response.once('close', () => gzip.destroy());
  await writeParts(gzip, parts);
  gzip.end();
}

async function writeParts(stream: Writable, parts: readonly Buffer[]): Promise<void> {
  let gathered: Buffer[] = [];
  let size = 0;
  for (let i = 0; i < parts.length; i++) {
    gathered.push(parts[i]!);
    size += parts[i]!.length;
    if (size < pieceBytes && i < parts.length - 1) continue;
    const fits = stream.write(gathered.length === 1 ? gathered[0] : Buffer.concat(gathered, size));
    gathered = [];
    size = 0;
    if (!fits && !stream.destroyed) await drained(stream);
    if (stream.destroyed) return;
  }
}

/** Resolves when there is room again, or never will be. */
function drained(stream: Writable): Promise<void> {
  return new Promise(resolve => {
    const done = (): void => {
      stream.off('drain', done);
      stream.off('close', done);
      resolve();
    };
    stream.on('drain', done);
    stream.on('close', done);
  });
}

function acceptsGzip(request: HttpRequest): boolean {
  const accepted = request.headers['accept-encoding'];
  return typeof accepted === 'string' && accepted.includes('gzip');
}

export function sendError(response: HttpResponse, error: StatusError): void {
  if (response.headersSent) {
    // Too late for a Status: a cut connection is the only way to say that the answer is not whole.
    response.destroy();
    return;
  }
  const status = error.toStatus() as unknown as Record<string, unknown>;
  const token = (error as { continueToken?: string }).continueToken;
  if (token) status['metadata'] = { continue: token };
  const bytes = readable(response.req, Buffer.from(JSON.stringify(status)));
  const retryAfter = error.details?.retryAfterSeconds;
  response.writeHead(error.code, {
    'content-type': 'application/json',
    'content-length': bytes.length,
    ...(retryAfter === undefined ? {} : { 'retry-after': String(retryAfter) }),
    ...(error.code === 401 ? { 'www-authenticate': 'Bearer realm="kubernetes-master"' } : {}),
  });
  response.end(bytes);
}

export function sendText(response: HttpResponse, code: number, text: string, type = 'text/plain; charset=utf-8'): void {
  response.writeHead(code, { 'content-type': type, 'content-length': Buffer.byteLength(text) });
  response.end(text);
}
