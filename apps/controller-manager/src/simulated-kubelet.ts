import { pods, type Pod, type Stored } from '@naru/api';
import type { MemoryObjects } from '@naru/testing';

/** Tests only: makes every pod run and be ready, and lets terminating ones go. Answers how many were alive at most. */
export async function simulateKubelet(
  api: MemoryObjects,
  options: { isReady?: (pod: Pod) => boolean } = {},
): Promise<{ maxAlive: () => number; minReady: () => number; stop: () => void }> {
  const { isReady = () => true } = options;
  const abort = new AbortController();
  const informer = api.informers().informer({ type: pods });
  let maxAlive = 0;
  let minReady = Infinity;
  const measure = (): void => {
    const alive = informer.lister.list().filter(pod => !pod.metadata.deletionTimestamp);
    maxAlive = Math.max(maxAlive, alive.length);
    const ready = alive.filter(pod =>
      pod.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True'),
    );
    minReady = Math.min(minReady, ready.length);
  };
  const act = (pod: Stored<Pod>): void => {
    measure();
    const { namespace, name } = pod.metadata;
    const quiet = (): undefined => undefined;
    if (pod.metadata.deletionTimestamp) {
      void api.delete(pods, { namespace, name }, { gracePeriodSeconds: 0 }).catch(quiet);
      return;
    }
    if (pod.status?.phase === 'Running') return;
    const status = isReady(pod) ? 'True' : 'False';
    const conditions = [{ type: 'Ready', status, lastTransitionTime: new Date().toISOString() }];
    const body = { status: { phase: 'Running', conditions } };
    void api.patch(pods, { namespace, name }, { type: 'strategic', body }, { subresource: 'status' }).catch(quiet);
  };
  informer.addHandler({ onAdd: act, onUpdate: act, onDelete: measure });
  await informer.start(abort.signal);
  return {
    maxAlive: () => maxAlive,
    minReady: () => minReady,
    stop: () => abort.abort(),
  };
}
