import http from 'node:http';
import https from 'node:https';
import { StatusError, refuseUpgrade } from '@naru/foundation';

const answerTimeoutMs = 60_000;
/** A body of which nothing arrives for so long is given up. */
const stallTimeoutMs = 60_000;
const redirectLimit = 10;
const redirects = [301, 302, 303, 307, 308];

/** No answer, or one that breaks off: another try may go better. */
export class TransferError extends Error {}

/** The reason behind an error of Node's; that of several addresses has no words of its own. */
function wordsOf({ message, code }: NodeJS.ErrnoException): string {
  return message || (code ?? 'no reason given');
}

export interface HttpOptions {
  headers?: Record<string, string>;
  /** Makes it a POST. */
  form?: URLSearchParams;
  /** Ends the request, and the body while it is read. */
  signal: AbortSignal;
}

/**
 * Resolves with the head of an answer, whatever its status; the body is to be read or destroyed. A GET follows redirections and keeps its
 * credentials to the origin that it was made for. Throws TransferError. Node's `fetch` would take 20 MB of memory for as long as the process lives.
 */
export async function httpGet(url: URL, options: HttpOptions): Promise<http.IncomingMessage> {
  let [place, headers] = [url, options.headers ?? {}];
  for (let followed = 0; ; followed++) {
    const answer = await send(place, { ...options, headers });
    const { location } = answer.headers;
    if (options.form || !location || !redirects.includes(answer.statusCode ?? 0)) return answer;
    answer.destroy();
    if (followed === redirectLimit) throw new TransferError(`${url.host} redirects more than ${redirectLimit} times`);
    const next = new URL(location, place);
    if (next.origin !== place.origin) {
      const { authorization: _, ...others } = headers;
      headers = others;
    }
    place = next;
  }
}

function send(url: URL, { headers = {}, form, signal }: HttpOptions): Promise<http.IncomingMessage> {
  const { request } = url.protocol === 'https:' ? https : http;
  const type = form && { 'content-type': 'application/x-www-form-urlencoded' };
  return new Promise((resolve, reject) => {
    const sent = request(url, {
      method: form ? 'POST' : 'GET',
      headers: { 'user-agent': 'naru', ...type, ...headers },
      signal,
    });
    // The time limit is for the answer's head only; the body has a guard of its own.
    const timer = setTimeout(() => sent.destroy(new TransferError('no answer in time')), answerTimeoutMs);
    refuseUpgrade(sent);
    sent.once('response', answer => {
      clearTimeout(timer);
      resolve(answer);
    });
    sent.on('error', cause => {
      clearTimeout(timer);
      reject(cause instanceof TransferError ? cause : new TransferError(wordsOf(cause), { cause }));
    });
    sent.end(form?.toString());
  });
}

/** The body as it arrives. Throws TransferError when it breaks off or stalls. */
export async function* bodyOf(answer: http.IncomingMessage): AsyncGenerator<Buffer> {
  let reading = true;
  const timer = setTimeout(() => {
    if (reading) answer.destroy(new TransferError('the transfer has stalled'));
  }, stallTimeoutMs);
  try {
    for await (const chunk of answer as AsyncIterable<Buffer>) {
      reading = false; // what the reader does with it may take its time
      yield chunk;
      reading = true;
      timer.refresh();
    }
  } catch (cause) {
    if (cause instanceof TransferError) throw cause;
    throw new TransferError(`the transfer broke off: ${wordsOf(cause as Error)}`, { cause });
  } finally {
    clearTimeout(timer);
  }
}

/** A body whole. Throws RequestEntityTooLarge when it has more bytes than `limit`. */
export async function readBody(answer: http.IncomingMessage, limit: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of bodyOf(answer)) {
    size += chunk.length;
    if (size > limit)
      throw new StatusError('RequestEntityTooLarge', `the registry's answer is larger than ${limit} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
