import { randomUUID } from 'node:crypto';
import { StatusError } from '@naru/foundation';
import type { ConversionWebhook, KubeObject } from '@naru/api';
import { postToWebhook, type ResolveService } from '../webhooks/webhook-client';

const timeoutMs = 10_000;
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
  const { response } = (await postToWebhook(webhook.clientConfig, review, { resolve, timeoutMs, signal })) as Review;
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
