import { jobs, type Job } from '@naru/api';
import { objectKey, parseKey, type ReconcileResult } from '@naru/client';
import { isReason } from '@naru/foundation';
import { watch, type Controller, type ControllerDeps } from '../../framework/controller';
import { finishedCondition } from '../job/status';

/** When a finished job is to go, in milliseconds since the epoch; undefined: it stays. */
export function expiryOf(job: Job): number | undefined {
  const ttl = job.spec?.ttlSecondsAfterFinished;
  const end = finishedCondition(job)?.lastTransitionTime;
  return ttl === undefined || !end || job.metadata?.deletionTimestamp ? undefined : Date.parse(end) + ttl * 1000;
}

async function reconcile(key: string, { informers, client, clock }: ControllerDeps): Promise<ReconcileResult> {
  const { namespace, name } = parseKey(key);
  const job = informers.lister(jobs).get({ namespace, name });
  const expiry = job && expiryOf(job);
  if (expiry === undefined) return undefined;
  const left = expiry - clock.now();
  if (left > 0) return { requeueAfterMs: left + 1 };
  try {
    // The ttl may have been raised meanwhile: only the version that was judged is deleted.
    const { uid, resourceVersion } = job!.metadata;
    const preconditions = { uid, resourceVersion };
    await client.delete(jobs, { namespace, name }, { propagationPolicy: 'Foreground', preconditions });
  } catch (error) {
    if (!isReason(error, 'NotFound')) throw error;
  }
  return undefined;
}

/** Deletes jobs a while after they have finished. */
export const ttlAfterFinishedController: Controller = {
  name: 'ttl-after-finished-controller',
  watches: () => [watch(jobs, job => (expiryOf(job) === undefined ? [] : [objectKey(job)]))],
  build: deps => ({ reconcile: key => reconcile(key, deps) }),
};
