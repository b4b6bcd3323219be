import type { WatchCache } from '../../storage/watch-cache';
import { isExempt } from '../matching/attributes';
import { matchedVersion } from '../matching/criteria';
import type { AdmissionDeps, AdmissionPlugin, AdmissionRequest } from '../plugin';
import { callWebhook } from './call-webhook';
import { conditionsHold, judgeFailure, reviewedObjects, type WebhookDeps } from './dispatcher';
import { Webhooks, type Webhook } from './webhook';

/** Asks all validating webhooks that a request concerns, at the same time; one no is enough. */
export function validatingWebhooks(cache: WatchCache, own: WebhookDeps): AdmissionPlugin {
  const webhooks = new Webhooks(cache);
  return {
    name: 'ValidatingAdmissionWebhook',
    handles: request => cache.size > 0 && !isExempt(request),
    async validate(request, deps) {
      const asked = await Promise.allSettled(webhooks.all.map(webhook => ask(webhook, request, deps, own)));
      const refused = asked.find(result => result.status === 'rejected');
      if (refused) throw refused.reason;
    },
  };
}

async function ask(webhook: Webhook, request: AdmissionRequest, deps: AdmissionDeps, own: WebhookDeps): Promise<void> {
  const shownAs = matchedVersion(webhook.criteria, request, deps);
  if (!shownAs) return;
  const objects = await reviewedObjects(request, shownAs);
  if (!(await conditionsHold(webhook, request, objects, { ...deps, ...own }))) return;
  try {
    await callWebhook(webhook, request, objects, { resolve: own.resolve, mutating: false });
  } catch (error) {
    judgeFailure(webhook, error, request, deps);
  }
}
