import { StatusError } from '@naru/foundation';
import { loadAdmissionCel, type AdmissionCel, type AnyDefinition, type KubeObject } from '@naru/api';
import type { Authorizer } from '../../auth/authorizer';
import { forbidden } from '../../objects/failures';
import type { ResolveService } from '../../webhooks/webhook-client';
import { isOwnKind } from '../matching/attributes';
import { celValues } from '../matching/cel-values';
import { convertObject } from '../matching/equivalents';
import type { AdmissionDeps, AdmissionRequest } from '../plugin';
import { WebhookCallError, type ReviewedObjects } from './call-webhook';
import type { Webhook } from './webhook';

export interface WebhookDeps {
  authorizer: Authorizer;
  resolve: ResolveService;
}

/** The objects as `shownAs` has them; those of subresources are the same in every version. */
export async function reviewedObjects(request: AdmissionRequest, shownAs: AnyDefinition): Promise<ReviewedObjects> {
  const { definition, signal } = request;
  const show = async (object: KubeObject | undefined): Promise<KubeObject | undefined> =>
    object && shownAs !== definition && isOwnKind(request, object)
      ? convertObject(object, definition, shownAs, signal)
      : object;
  return { shownAs, object: await show(request.object), old: await show(request.old) };
}

/** @throws StatusError Forbidden for conditions that cannot be evaluated and a webhook that fails closed */
export async function conditionsHold(
  webhook: Webhook,
  request: AdmissionRequest,
  objects: ReviewedObjects,
  { authorizer, ...deps }: AdmissionDeps & { authorizer: Authorizer },
): Promise<boolean> {
  if (webhook.matchConditions.empty) return true;
  const cel: AdmissionCel = await loadAdmissionCel();
  const context = cel.admissionContext(celValues(request, deps, authorizer, objects));
  const result = webhook.matchConditions.evaluate(cel, context, cel.budgetFor(objects.object, objects.old));
  if (!(result instanceof Error)) return result;
  if (!webhook.failsClosed) return false;
  throw forbidden(request.definition.type, request.name, result.message);
}

/** What the failure of a call means: nothing where the webhook fails open. @throws StatusError */
export function judgeFailure(webhook: Webhook, error: unknown, request: AdmissionRequest, deps: AdmissionDeps): void {
  if (!(error instanceof WebhookCallError)) throw error;
  if (webhook.failsClosed)
    throw new StatusError('InternalError', `Internal error occurred: ${error.message}`, {
      cause: error,
      details: { causes: [{ message: error.message }] },
    });
  // Who asked has no time left either.
  request.signal.throwIfAborted();
  deps.logger.warn({ webhook: webhook.name, err: error }, 'webhook failed, and is ignored');
}
