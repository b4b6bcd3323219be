import { randomUUID } from 'node:crypto';
import https from 'node:https';
import { StatusError } from '@naru/foundation';
import type { ConversionWebhook, KubeObject } from '@naru/api';

/** Where a Service's port is reached, and the agent that gets there; undefined: nowhere now. */
export type ResolveService = (
  namespace: string,
  name: string,
  port: number,
) => { host: string; port: number; agent?: https.Agent } | undefined;

const timeoutMs = 10_000;
const maxResponseBytes = 32 * 1024 * 1024;
const maxBatch = 500;
const reviewKinds = { v1: 'apiextensions.k8s.io/v1', v1beta1: 'apiextensions.k8s.io/v1beta1' } as const;

interface Review {
  response?: {
    uid?: string;
    result?: { status?: string; message?: string };
    convertedObjects?: KubeObject[];
  };
}

/**
 * Asks a conversion webhook for objects in another version. What of the metadata a webhook may not change is kept.
 * @throws StatusError InternalError in upstream's words when it fails
 */
export async function convertByWebhook(
  webhook: ConversionWebhook,
  resolve: ResolveService,
  objects: readonly KubeObject[],
  desiredAPIVersion: string,
  signal?: AbortSignal,
): Promise<KubeObject[]> {
  const converted: KubeObject[] = [];
  for (let start = 0; start < objects.length; start += maxBatch) {
    const batch = objects.slice(start, start + maxBatch);
    try {
      converted.push(...(await convertBatch(webhook, resolve, batch, desiredAPIVersion, signal)));
    } catch (cause) {
      const { apiVersion, kind } = batch[0] ?? {};
      const message = `conversion webhook for ${apiVersion}, Kind=${kind} failed: ${(cause as Error).message}`;
      throw new StatusError('InternalError', message, { cause });
    }
  }
  return converted;
}

async function convertBatch(
  webhook: ConversionWebhook,
  resolve: ResolveService,
  objects: readonly KubeObject[],
  desiredAPIVersion: string,
  signal: AbortSignal | undefined,
): Promise<KubeObject[]> {
  const version = webhook.conversionReviewVersions.find(name => name in reviewKinds) as keyof typeof reviewKinds;
  const apiVersion = reviewKinds[version ?? 'v1'];
  const uid = randomUUID();
  const review = { apiVersion, kind: 'ConversionReview', request: { uid, desiredAPIVersion, objects } };
  const { response } = (await post(webhook, resolve, review, signal)) as Review;
  if (!response) throw new Error('the webhook returned an invalid response: no response');
  if (response.uid !== uid)
    throw new Error(`expected response.uid=${JSON.stringify(uid)}, got ${JSON.stringify(response.uid ?? '')}`);
  if (response.result?.status !== 'Success') throw new Error(response.result?.message || 'unknown error');
  const { convertedObjects = [] } = response;
  if (convertedObjects.length !== objects.length)
    throw new Error(
      `the webhook returned ${convertedObjects.length} objects while ${objects.length} objects were expected`,
    );
  return convertedObjects.map((object, index) => checked(object, objects[index]!, desiredAPIVersion, index));
}

/** Labels and annotations are the webhook's to change, the rest of the metadata is not. */
function checked(converted: KubeObject, original: KubeObject, desired: string, index: number): KubeObject {
  const at = `response.convertedObjects[${index}]`;
  if (typeof converted !== 'object' || converted === null) throw new Error(`invalid ${at}: not an object`);
  if (converted.apiVersion !== desired)
    throw new Error(`invalid ${at}: invalid groupVersion, expected ${desired}, got ${converted.apiVersion}`);
  if (converted.kind !== original.kind)
    throw new Error(`invalid ${at}: invalid kind, expected ${original.kind}, got ${converted.kind}`);
  if (converted.metadata?.name !== original.metadata?.name)
    throw new Error(`invalid ${at}: invalid metadata in object: metadata.name must not change`);
  const { labels, annotations } = converted.metadata ?? {};
  const { labels: _labels, annotations: _annotations, ...metadata } = original.metadata ?? {};
  return {
    ...converted,
    metadata: { ...metadata, ...(labels ? { labels } : {}), ...(annotations ? { annotations } : {}) },
  };
}

async function post(
  { clientConfig }: ConversionWebhook,
  resolve: ResolveService,
  review: unknown,
  signal: AbortSignal | undefined,
): Promise<unknown> {
  const { url, service, caBundle } = clientConfig ?? {};
  const body = Buffer.from(JSON.stringify(review));
  const target = url ? new URL(url) : undefined;
  let place: https.RequestOptions;
  if (target)
    place = { host: target.hostname.replace(/^\[|\]$/g, ''), port: target.port || 443, path: target.pathname };
  else if (service) {
    const { namespace, name, path = '/', port = 443 } = service;
    const found = resolve(namespace, name, port);
    if (!found) throw new Error(`service "${name}" in namespace "${namespace}" has no endpoints on port ${port}`);
    const servername = `${name}.${namespace}.svc`;
    place = { ...found, path, servername, headers: { host: servername } };
  } else throw new Error('the webhook has no address');
  const limit = AbortSignal.timeout(timeoutMs);
  return request(
    {
      agent: false,
      ...place,
      method: 'POST',
      ...(caBundle ? { ca: Buffer.from(caBundle, 'base64') } : {}),
      headers: { ...place.headers, 'content-type': 'application/json', 'content-length': body.length },
      signal: signal ? AbortSignal.any([limit, signal]) : limit,
    },
    body,
  );
}

function request(options: https.RequestOptions, body: Buffer): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const outgoing = https.request(options, incoming => {
      const chunks: Buffer[] = [];
      let size = 0;
      incoming.on('data', (chunk: Buffer) => {
        size += chunk.length;
        chunks.push(chunk);
        if (size > maxResponseBytes) incoming.destroy(new Error('the response is too large'));
      });
      incoming.on('error', reject);
      incoming.on('end', () => {
        const text = Buffer.concat(chunks).toString();
        if (incoming.statusCode !== 200) {
          reject(new Error(`the server responded with the status code ${incoming.statusCode}: ${text.slice(0, 200)}`));
          return;
        }
        try {
          resolve(JSON.parse(text));
        } catch (error) {
          reject(error as Error);
        }
      });
    });
    outgoing.on('error', error =>
      reject(options.signal?.aborted ? new Error('context deadline exceeded', { cause: error }) : error),
    );
    outgoing.end(body);
  });
}
