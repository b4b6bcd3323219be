import { StatusError } from '@naru/foundation';
import { maxBodyBytes } from '../objects/body';
import { badRequest } from '../objects/failures';
import type { Body } from '../objects/request';
import type { HttpRequest } from './http';

/** Reads a request's body, at most `limit` bytes after decompression. @throws StatusError RequestEntityTooLarge */
export async function readBody(request: HttpRequest, limit = maxBodyBytes): Promise<Body> {
  const mediaType = (request.headers['content-type'] ?? '').split(';')[0]!.trim().toLowerCase();
  const announced = Number(request.headers['content-length'] ?? 0);
  if (announced > limit) throw tooLarge(limit);
  const raw = await collect(request, limit);
  if (request.headers['content-encoding'] !== 'gzip') return { bytes: raw, mediaType };
  const { gunzipSync } = await import('node:zlib');
  try {
    return { bytes: gunzipSync(raw, { maxOutputLength: limit }), mediaType };
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') throw tooLarge(limit);
    throw badRequest('the body of the request is not valid gzip', cause);
  }
}

function collect(request: HttpRequest, limit: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    request.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > limit) {
        request.pause();
        reject(tooLarge(limit));
      } else chunks.push(chunk);
    });
    request.on('end', () => resolve(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)));
    request.on('error', cause => reject(badRequest('the body of the request could not be read', cause)));
    request.on('aborted', () => reject(badRequest('the body of the request ended early')));
  });
}

function tooLarge(limit: number): StatusError {
  return new StatusError('RequestEntityTooLarge', `Request entity too large: limit is ${limit}`);
}
