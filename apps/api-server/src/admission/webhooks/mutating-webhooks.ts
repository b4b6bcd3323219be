import { applyPatch, patchMediaTypes, type AnyDefinition, type KubeObject } from '@naru/api';
import type { WatchCache } from '../../storage/watch-cache';
import { adoptChanged, internal } from '../matching/adopt-changed';
import { isExempt } from '../matching/attributes';
import { matchedVersion } from '../matching/criteria';
import type { AdmissionDeps, AdmissionPlugin, AdmissionRequest } from '../plugin';
import { ReinvocationPass } from '../reinvocation';
import { callWebhook } from './call-webhook';
import { conditionsHold, judgeFailure, reviewedObjects, type WebhookDeps } from './dispatcher';
import { Webhooks, type Webhook } from './webhook';

const name = 'MutatingAdmissionWebhook';

/** Asks the mutating webhooks that a request concerns one after the other; each sees what those before it changed. */
export function mutatingWebhooks(cache: WatchCache, own: WebhookDeps): AdmissionPlugin {
  const webhooks = new Webhooks(cache);
  return {
    name,
    handles: request => cache.size > 0 && !isExempt(request),
    async admit(request, deps) {
      const pass = new ReinvocationPass(name, request);
      for (const webhook of webhooks.all) {
        if (!pass.asks(webhook.uid)) continue;
        const changed = await ask(webhook, request, deps, own);
        if (changed !== undefined) pass.after(webhook.uid, { changed, reinvocable: webhook.reinvocable });
      }
      pass.end();
    },
  };
}

/** Whether it changed the object; undefined when it was not its business. */
async function ask(
  webhook: Webhook,
  request: AdmissionRequest,
  deps: AdmissionDeps,
  own: WebhookDeps,
): Promise<boolean | undefined> {
  const shownAs = matchedVersion(webhook.criteria, request, deps);
  if (!shownAs) return undefined;
  const objects = await reviewedObjects(request, shownAs);
  if (!(await conditionsHold(webhook, request, objects, { ...deps, ...own }))) return undefined;
  try {
    const patch = await callWebhook(webhook, request, objects, { resolve: own.resolve, mutating: true });
    if (!patch) return false;
    if (!objects.object)
      throw internal('admission webhook attempted to modify the object, which is not supported for this operation');
    return await adoptChanged(request, shownAs, patched(objects.object, patch, shownAs));
  } catch (error) {
    judgeFailure(webhook, error, request, deps);
    return false;
  }
}

function patched(object: KubeObject, patch: Buffer, shownAs: AnyDefinition): unknown {
  try {
    return applyPatch(patchMediaTypes.json, object, patch, shownAs);
  } catch (cause) {
    throw internal((cause as Error).message, cause);
  }
}
