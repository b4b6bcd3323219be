import https from 'node:https';
import { refuseUpgrade } from '@naru/foundation';

/** Where a Service's port is reached, and the agent that gets there; undefined: nowhere now. */
export type ResolveService = (
  namespace: string,
  name: string,
  port: number,
) => { host: string; port: number; agent?: https.Agent } | undefined;

/** admissionregistration's and apiextensions' WebhookClientConfig. */
export interface WebhookClientConfig {
  url?: string | undefined;
  service?: { namespace: string; name: string; path?: string | undefined; port?: number | undefined } | undefined;
  /** PEM in base64. */
  caBundle?: string | undefined;
}

export interface WebhookCallOptions {
  resolve: ResolveService;
  timeoutMs: number;
  signal?: AbortSignal | undefined;
  /** Tell the webhook how long it has, by a parameter of the URL. */
  announceTimeout?: boolean;
}

const maxResponseBytes = 32 * 1024 * 1024;
/** For webhooks by URL; those of Services come with the agent that reaches the pod network. */
const agent = new https.Agent({ keepAlive: true, maxSockets: 64, timeout: 30_000 });

/** Posts `body` as JSON and gives the parsed answer. @throws Error as Go's HTTP client words it */
export async function postToWebhook(
  config: WebhookClientConfig | undefined,
  body: unknown,
  options: WebhookCallOptions,
): Promise<unknown> {
  const { place, shownUrl } = placeOf(config, options);
  const data = Buffer.from(JSON.stringify(body));
  const limit = AbortSignal.timeout(options.timeoutMs);
  const request: https.RequestOptions = {
    agent,
    ...place,
    ...(config?.caBundle ? { ca: Buffer.from(config.caBundle, 'base64') } : {}),
    method: 'POST',
    headers: {
      ...place.headers,
      'content-type': 'application/json',
      accept: 'application/json',
      'content-length': data.length,
    },
    signal: options.signal ? AbortSignal.any([limit, options.signal]) : limit,
  };
  try {
    return await send(request, data);
  } catch (error) {
    if (error instanceof WebhookAnswerError) throw error;
    const why = request.signal?.aborted ? 'context deadline exceeded' : describe(error as NodeJS.ErrnoException);
    throw new Error(`Post ${JSON.stringify(shownUrl)}: ${why}`, { cause: error });
  }
}

/** The webhook was reached, and its answer is no good. */
class WebhookAnswerError extends Error {}

function placeOf(
  config: WebhookClientConfig | undefined,
  { resolve, timeoutMs, announceTimeout }: WebhookCallOptions,
): { place: https.RequestOptions; shownUrl: string } {
  const { url, service } = config ?? {};
  const query = announceTimeout ? `timeout=${timeoutMs / 1000}s` : '';
  if (url) {
    const target = new URL(url);
    if (query !== '') target.search = target.search === '' ? query : `${target.search}&${query}`;
    const host = target.hostname.replace(/^\[|\]$/g, '');
    return {
      place: { host, port: target.port || 443, path: target.pathname + target.search },
      shownUrl: target.href,
    };
  }
  if (!service) throw new Error('the webhook has no address');
  const { namespace, name, path = '/', port = 443 } = service;
  const servername = `${name}.${namespace}.svc`;
  const fullPath = `${path.startsWith('/') ? path : `/${path}`}${query === '' ? '' : `?${query}`}`;
  const shownUrl = `https://${servername}:${port}${fullPath}`;
  const found = resolve(namespace, name, port);
  if (!found)
    throw new Error(`Post ${JSON.stringify(shownUrl)}: no endpoints available for service ${JSON.stringify(name)}`);
  return { place: { ...found, path: fullPath, servername, headers: { host: servername } }, shownUrl };
}

async function send(options: https.RequestOptions, body: Buffer): Promise<unknown> {
  for (;;) {
    try {
      return await sendOnce(options, body);
    } catch (error) {
      // The webhook closed a kept connection as we began to use it: it has not seen the request.
      if (!(error as { reused?: boolean }).reused || (error as NodeJS.ErrnoException).code !== 'ECONNRESET')
        throw error;
    }
  }
}

function sendOnce(options: https.RequestOptions, body: Buffer): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const outgoing = https.request(options, incoming => {
      const chunks: Buffer[] = [];
      let size = 0;
      incoming.on('data', (chunk: Buffer) => {
        size += chunk.length;
        chunks.push(chunk);
        if (size > maxResponseBytes) incoming.destroy(new WebhookAnswerError('the response is too large'));
      });
      incoming.on('error', reject);
      incoming.on('end', () => {
        const text = Buffer.concat(chunks).toString();
        if (incoming.statusCode !== 200) {
          const shown = text.slice(0, 200);
          reject(new WebhookAnswerError(`the server responded with the status code ${incoming.statusCode}: ${shown}`));
          return;
        }
        try {
          resolve(JSON.parse(text));
        } catch (error) {
          reject(new WebhookAnswerError((error as Error).message, { cause: error }));
        }
      });
    });
    refuseUpgrade(outgoing);
    outgoing.on('error', error => reject(Object.assign(error, { reused: outgoing.reusedSocket })));
    outgoing.end(body);
  });
}

const untrusted = new Set([
  'SELF_SIGNED_CERT_IN_CHAIN',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_GET_ISSUER_CERT',
  'CERT_SIGNATURE_FAILURE',
]);

function describe(error: NodeJS.ErrnoException): string {
  const { code = '', address, port } = error as NodeJS.ErrnoException & { address?: string; port?: number };
  if (code === 'ECONNREFUSED') return `dial tcp ${address}:${port}: connect: connection refused`;
  if (untrusted.has(code)) return 'tls: failed to verify certificate: x509: certificate signed by unknown authority';
  if (code === 'ECONNRESET') return 'EOF';
  return error.message;
}
