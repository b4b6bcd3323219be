import { setTimeout as delay } from 'node:timers/promises';
import { StatusError, type Reason } from '@naru/foundation';
import type { cri } from '@naru/proto';
import { digestMismatch, sha256 } from './digest';
import { acceptedManifests, type Descriptor } from './manifest';
import type { Reference } from './reference';
import { answerChallenge, parseChallenge } from './registry-auth';
import { endpoints, type RegistryConfig } from './registry-config';

const manifestLimitBytes = 8 << 20;
const headerTimeoutMs = 60_000;
/** A body of which nothing arrives for so long is given up. */
const stallTimeoutMs = 60_000;
const attempts = 4;

const reasonOf: Record<number, Reason> = {
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'NotFound',
  429: 'TooManyRequests',
};

/** Worth another try: the network, the registry's own trouble, and limits on the rate of requests. */
function isTransient(error: unknown): boolean {
  if (error instanceof StatusError) return error.reason === 'ServiceUnavailable' || error.reason === 'TooManyRequests';
  const { name, message } = error as Error;
  // fetch says no more than this of a connection that fails or breaks off.
  return name === 'TimeoutError' || (name === 'TypeError' && /^(fetch failed|terminated)/.test(message));
}

/** The reason behind fetch's bare "fetch failed". */
function describe(error: unknown): string {
  const cause = (error as Error).cause as (Error & { code?: string }) | undefined;
  return cause ? cause.message || (cause.code ?? String(cause)) : (error as Error).message;
}

/** Speaks the distribution API (github.com/opencontainers/distribution-spec) for one repository. */
export class RegistryClient {
  /** The endpoint that answered, with its Authorization header. */
  #authorization = new Map<string, string>();

  constructor(
    readonly reference: Reference,
    private readonly deps: { config: RegistryConfig; auth: cri.AuthConfig | undefined; signal: AbortSignal },
  ) {}

  /** A manifest or index by tag or digest, with the digest of its bytes. */
  async manifest(tagOrDigest: string): Promise<{ text: string; digest: string }> {
    return this.#retry(async () => {
      const response = await this.#request(`manifests/${tagOrDigest}`, { accept: acceptedManifests });
      const text = await readAll(response, manifestLimitBytes);
      const digest = sha256(text);
      if (tagOrDigest.startsWith('sha256:') && digest !== tagOrDigest)
        throw digestMismatch('manifest', tagOrDigest, digest);
      return { text: text.toString('utf8'), digest };
    });
  }

  /** A small content, such as a configuration, whole. */
  async content(descriptor: Descriptor): Promise<string> {
    return this.#retry(async () => {
      const content = await readAll(await this.#request(`blobs/${descriptor.digest}`, {}), manifestLimitBytes);
      if (sha256(content) !== descriptor.digest) throw digestMismatch('content', descriptor.digest, sha256(content));
      return content.toString('utf8');
    });
  }

  /** Opens the stream of a layer, which goes on where it broke off if the registry can. The reader checks the digest. */
  async open(descriptor: Descriptor): Promise<AsyncIterable<Uint8Array>> {
    const place = `blobs/${descriptor.digest}`;
    return this.#resuming(await this.#retry(() => this.#request(place, {})), place, descriptor.size);
  }

  async *#resuming(first: Response, place: string, size: number): AsyncGenerator<Uint8Array> {
    let response = first;
    let received = 0;
    for (let failures = 0; ;) {
      try {
        for await (const chunk of stallGuarded(response, size - received)) {
          received += chunk.length;
          failures = 0;
          yield chunk;
        }
        return;
      } catch (error) {
        if (received === 0 || !isTransient(error) || ++failures === attempts) throw error;
        response = await this.#request(place, { range: `bytes=${received}-` });
        if (response.status === 206) continue;
        // It only has the whole: the caller begins anew.
        await response.body?.cancel();
        throw error;
      }
    }
  }

  /** Runs `work` again after a transient failure, with growing pauses. */
  async retry<T>(work: () => Promise<T>): Promise<T> {
    return this.#retry(work);
  }

  async #retry<T>(work: () => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await work();
      } catch (error) {
        this.deps.signal.throwIfAborted();
        if (attempt === attempts || !isTransient(error)) {
          if (error instanceof StatusError) throw error;
          throw new StatusError(
            'ServiceUnavailable',
            `failed to reach ${this.reference.registry}: ${describe(error)}`,
            { cause: error },
          );
        }
        await delay(250 * 4 ** (attempt - 1), undefined, { signal: this.deps.signal });
      }
    }
  }

  async #request(path: string, headers: Record<string, string>): Promise<Response> {
    let last: unknown;
    const bases = endpoints(this.deps.config, this.reference.registry);
    for (const base of bases) {
      try {
        return await this.#requestAt(base, path, headers);
      } catch (error) {
        this.deps.signal.throwIfAborted();
        last = error;
      }
    }
    throw last;
  }

  async #requestAt(base: string, path: string, headers: Record<string, string>): Promise<Response> {
    const url = `${base}/v2/${this.reference.repository}/${path}`;
    const send = async (): Promise<Response> => {
      const authorization = this.#authorization.get(base);
      // The time limit is for the answer's head only; the body has a guard of its own.
      const controller = new AbortController();
      const timer = setTimeout(
        () => controller.abort(new DOMException('no answer in time', 'TimeoutError')),
        headerTimeoutMs,
      );
      try {
        return await fetch(url, {
          headers: { ...headers, 'user-agent': 'naru', ...(authorization ? { authorization } : {}) },
          signal: AbortSignal.any([controller.signal, this.deps.signal]),
        });
      } finally {
        clearTimeout(timer);
      }
    };
    let response = await send();
    const challenge = response.headers.get('www-authenticate');
    if (response.status === 401 && challenge) {
      await response.body?.cancel();
      this.#authorization.set(
        base,
        await answerChallenge(parseChallenge(challenge), this.reference.repository, this.deps.auth),
      );
      response = await send();
    }
    if (!response.ok) throw await this.#failure(response, url);
    return response;
  }

  /** The registry's own words. */
  async #failure(response: Response, url: string): Promise<StatusError> {
    const body = (await readAll(response, 64 << 10).catch(() => Buffer.alloc(0))).toString('utf8');
    let words = '';
    try {
      const { errors } = JSON.parse(body) as { errors?: { code?: string; message?: string; detail?: unknown }[] };
      words = (errors ?? [])
        .map(error => `${(error.code ?? '').toLowerCase().replaceAll('_', ' ')}: ${error.message ?? ''}`)
        .join('; ');
    } catch {
      words = body.slice(0, 256);
    }
    const reason = reasonOf[response.status] ?? (response.status >= 500 ? 'ServiceUnavailable' : 'BadRequest');
    return new StatusError(
      reason,
      `unexpected status from GET request to ${url}: ${response.status} ${response.statusText}${words ? `: ${words.trim()}` : ''}`,
    );
  }
}

async function readAll(response: Response, limit: number): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of stallGuarded(response)) {
    size += chunk.length;
    if (size > limit)
      throw new StatusError('RequestEntityTooLarge', `the registry's answer is larger than ${limit} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

async function* stallGuarded(response: Response, limit = Infinity): AsyncGenerator<Uint8Array> {
  if (!response.body) return;
  const reader = response.body.getReader();
  let size = 0;
  try {
    for (;;) {
      let timer: NodeJS.Timeout | undefined;
      const stalled = new Promise<never>((_, reject) => {
        timer = setTimeout(() => reject(new DOMException('the transfer has stalled', 'TimeoutError')), stallTimeoutMs);
      });
      const next = await Promise.race([reader.read(), stalled]).finally(() => clearTimeout(timer));
      if (next.done) return;
      size += (next.value as Uint8Array).length;
      if (size > limit)
        throw new StatusError('BadRequest', `the content is larger than the ${limit} bytes that its manifest states`);
      yield next.value as Uint8Array;
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}
