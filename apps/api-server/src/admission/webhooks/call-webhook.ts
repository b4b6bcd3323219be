import { StatusError, type Status } from '@naru/foundation';
import type { AnyDefinition, KubeObject } from '@naru/api';
import { warn } from '../../objects/request';
import { postToWebhook, type ResolveService } from '../../webhooks/webhook-client';
import { describeRequest } from '../matching/cel-values';
import { isOwnKind } from '../matching/attributes';
import type { AdmissionRequest } from '../plugin';
import type { Webhook } from './webhook';

const supportedVersions = new Set(['v1', 'v1beta1']);

interface ReviewResponse {
  uid?: string;
  allowed?: boolean;
  status?: Partial<Status>;
  /** Base64 of a JSON patch. */
  patch?: string;
  patchType?: string;
  warnings?: string[];
}

/** The objects of a request as a webhook wants to see them, and the version in which it does. */
export interface ReviewedObjects {
  shownAs: AnyDefinition;
  object: KubeObject | undefined;
  old: KubeObject | undefined;
}

/** A webhook that could not be asked, or whose answer is no answer: its failure policy says what that means. */
export class WebhookCallError extends Error {
  constructor(webhook: string, reason: string, cause?: unknown) {
    super(`failed calling webhook ${JSON.stringify(webhook)}: ${reason}`, { cause });
  }
}

/** What a webhook said no with, with the reason and code it chose, whatever they are. */
export class WebhookRejection extends StatusError {
  private readonly status: Status;

  constructor(webhook: string, result: Partial<Status>) {
    const denied = `admission webhook ${JSON.stringify(webhook)} denied the request`;
    const why = result.message || result.reason;
    const message = why ? `${denied}: ${why}` : `${denied} without explanation`;
    const code = Math.min(599, Math.max(400, Number(result.code) || 400));
    super('Forbidden', message, { code });
    const { reason, details } = result;
    this.status = {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message,
      ...(reason ? { reason } : {}),
      ...(details ? { details } : {}),
      code,
    };
  }

  override toStatus(): Status {
    return this.status;
  }
}

/**
 * Asks one webhook. Gives the JSON patch of a mutating one, undefined where it changes nothing.
 * @throws WebhookRejection when it says no, WebhookCallError when it could not be asked
 */
export async function callWebhook(
  webhook: Webhook,
  request: AdmissionRequest,
  objects: ReviewedObjects,
  { resolve, mutating }: { resolve: ResolveService; mutating: boolean },
): Promise<Buffer | undefined> {
  const { name, clientConfig, timeoutMs, reviewVersions } = webhook;
  const version = reviewVersions.find(each => supportedVersions.has(each));
  if (!version)
    throw new WebhookCallError(name, `webhook does not accept known AdmissionReview versions (v1, v1beta1)`);
  const apiVersion = `admission.k8s.io/${version}`;
  const asked = reviewRequest(request, objects);
  const call = { resolve, timeoutMs, signal: request.signal, announceTimeout: true };
  let answer: unknown;
  try {
    answer = await postToWebhook(clientConfig, { kind: 'AdmissionReview', apiVersion, request: asked }, call);
  } catch (cause) {
    throw new WebhookCallError(name, `failed to call webhook: ${(cause as Error).message}`, cause);
  }
  try {
    const response = checked(answer, apiVersion, String(asked['uid']), mutating);
    warn(request, response.warnings);
    if (!response.allowed) throw new WebhookRejection(name, response.status ?? {});
    return response.patch ? Buffer.from(response.patch, 'base64') : undefined;
  } catch (cause) {
    if (cause instanceof StatusError) throw cause;
    throw new WebhookCallError(name, `received invalid webhook response: ${(cause as Error).message}`, cause);
  }
}

function reviewRequest(request: AdmissionRequest, { shownAs, object, old }: ReviewedObjects): Record<string, unknown> {
  const described = describeRequest(request);
  const { group, version, resource, kind } = shownAs.type;
  const original = request.object ?? request.old;
  const converted = original !== undefined && isOwnKind(request, original);
  return {
    ...described,
    ...(converted ? { kind: { group, version, kind } } : {}),
    resource: { group, version, resource },
    object: object ?? null,
    oldObject: old ?? null,
  };
}

/** @throws Error with what upstream says of an answer that is none. Source: webhook/request.VerifyAdmissionResponse */
function checked(answer: unknown, apiVersion: string, uid: string, mutating: boolean): ReviewResponse {
  const review = (answer ?? {}) as { kind?: string; apiVersion?: string; response?: ReviewResponse };
  const { response } = review;
  if (typeof response !== 'object' || response === null) throw new Error('webhook response was absent');
  const wanted = `${apiVersion}, Kind=AdmissionReview`;
  const given = `${review.apiVersion ?? ''}, Kind=${review.kind ?? ''}`;
  if (apiVersion.endsWith('/v1')) {
    if (given !== wanted) throw new Error(`expected webhook response of ${wanted}, got ${given}`);
    if (response.uid !== uid)
      throw new Error(`expected response.uid=${JSON.stringify(uid)}, got ${JSON.stringify(response.uid ?? '')}`);
  }
  if (!response.patch) {
    if (response.patchType) throw new Error('webhook returned response.patchType but not response.patch');
    return response;
  }
  if (!mutating) throw new Error('validating webhook may not return response.patch');
  if (response.patchType !== 'JSONPatch')
    throw new Error(
      response.patchType
        ? `webhook returned invalid response.patchType of ${JSON.stringify(response.patchType)}`
        : 'webhook returned response.patch but not response.patchType',
    );
  return response;
}
