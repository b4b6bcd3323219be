import type { IncomingMessage } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { StatusError, type Reason } from '@naru/foundation';
import type { cri } from '@naru/proto';
import { digestMismatch, sha256 } from './digest';
import { bodyOf, httpGet, readBody, TransferError } from './http-get';
import { acceptedManifests, type Descriptor } from './manifest';
import type { Reference } from './reference';
import { answerChallenge, parseChallenge } from './registry-auth';
import { endpoints, type RegistryConfig } from './registry-config';

const manifestLimitBytes = 8 << 20;
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
  return error instanceof TransferError;
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
      const text = await readBody(response, manifestLimitBytes);
      const digest = sha256(text);
      if (tagOrDigest.startsWith('sha256:') && digest !== tagOrDigest)
        throw digestMismatch('manifest', tagOrDigest, digest);
      return { text: text.toString('utf8'), digest };
    });
  }

  /** A small content, such as a configuration, whole. */
  async content(descriptor: Descriptor): Promise<string> {
    return this.#retry(async () => {
      const content = await readBody(await this.#request(`blobs/${descriptor.digest}`, {}), manifestLimitBytes);
      if (sha256(content) !== descriptor.digest) throw digestMismatch('content', descriptor.digest, sha256(content));
      return content.toString('utf8');
    });
  }

  /** Opens the stream of a layer, which goes on where it broke off if the registry can. The reader checks the digest. */
  async open(descriptor: Descriptor): Promise<AsyncIterable<Uint8Array>> {
    const place = `blobs/${descriptor.digest}`;
    return this.#resuming(await this.#retry(() => this.#request(place, {})), place, descriptor.size);
  }

  async *#resuming(first: IncomingMessage, place: string, size: number): AsyncGenerator<Uint8Array> {
    let response = first;
    let received = 0;
    for (let failures = 0; ;) {
      try {
        for await (const chunk of bounded(response, size - received)) {
          received += chunk.length;
          failures = 0;
          yield chunk;
        }
        return;
      } catch (error) {
        if (received === 0 || !isTransient(error) || ++failures === attempts) throw error;
        response = await this.#request(place, { range: `bytes=${received}-` });
        if (response.statusCode === 206) continue;
        // It only has the whole: the caller begins anew.
        response.destroy();
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
            `failed to reach ${this.reference.registry}: ${(error as Error).message}`,
            { cause: error },
          );
        }
        await delay(250 * 4 ** (attempt - 1), undefined, { signal: this.deps.signal });
      }
    }
  }

  async #request(path: string, headers: Record<string, string>): Promise<IncomingMessage> {
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

  async #requestAt(base: string, path: string, headers: Record<string, string>): Promise<IncomingMessage> {
    const url = `${base}/v2/${this.reference.repository}/${path}`;
    const { auth, signal } = this.deps;
    const send = (): Promise<IncomingMessage> => {
      const authorization = this.#authorization.get(base);
      return httpGet(new URL(url), { headers: { ...headers, ...(authorization ? { authorization } : {}) }, signal });
    };
    let response = await send();
    const challenge = response.headers['www-authenticate'];
    if (response.statusCode === 401 && challenge) {
      response.destroy();
      const answer = await answerChallenge(parseChallenge(challenge), {
        repository: this.reference.repository,
        auth,
        signal,
      });
      this.#authorization.set(base, answer);
      response = await send();
    }
    const { statusCode: status = 0 } = response;
    if (status < 200 || status > 299) throw await this.#failure(response, url);
    return response;
  }

  /** The registry's own words. */
  async #failure(response: IncomingMessage, url: string): Promise<StatusError> {
    const body = (await readBody(response, 64 << 10).catch(() => Buffer.alloc(0))).toString('utf8');
    let words = '';
    try {
      const { errors } = JSON.parse(body) as { errors?: { code?: string; message?: string; detail?: unknown }[] };
      words = (errors ?? [])
        .map(error => `${(error.code ?? '').toLowerCase().replaceAll('_', ' ')}: ${error.message ?? ''}`)
        .join('; ');
    } catch {
      words = body.slice(0, 256);
    }
    const { statusCode: status = 0, statusMessage } = response;
    const reason = reasonOf[status] ?? (status >= 500 ? 'ServiceUnavailable' : 'BadRequest');
    return new StatusError(
      reason,
      `unexpected status from GET request to ${url}: ${status} ${statusMessage}${words ? `: ${words.trim()}` : ''}`,
    );
  }
}

async function* bounded(response: IncomingMessage, limit: number): AsyncGenerator<Buffer> {
  let size = 0;
  for await (const chunk of bodyOf(response)) {
    size += chunk.length;
    if (size > limit)
      throw new StatusError('BadRequest', `the content is larger than the ${limit} bytes that its manifest states`);
    yield chunk;
  }
}
