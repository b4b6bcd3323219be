import { jobs, pods, type Job, type Pod, type Stored } from '@naru/api';
import { formatTime } from '@naru/foundation';
import type { MemoryObjects } from '@naru/testing';
import { makePod } from '../../fixtures';
import { failuresKey, indexKey, trackingFinalizer } from './job-pod';

/** Tests only: a job as the api-server would store it. */
export function makeJob(spec: Partial<NonNullable<Job['spec']>> = {}, status: Job['status'] = {}): Stored<Job> {
  const labels = { 'batch.kubernetes.io/controller-uid': 'work' };
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { namespace: 'default', name: 'work', uid: 'work', resourceVersion: '1', generation: 1 },
    spec: {
      parallelism: 1,
      completions: 1,
      backoffLimit: 6,
      completionMode: 'NonIndexed',
      podReplacementPolicy: spec.podFailurePolicy ? 'Failed' : 'TerminatingOrFailed',
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: { restartPolicy: 'Never', containers: [{ name: 'main', image: 'web:1' }] },
      },
      ...spec,
    },
    status,
  };
}

export interface JobPodInput {
  phase?: string;
  index?: number;
  failures?: number;
  tracked?: boolean;
  exitCode?: number;
  /** Seconds since 1970. */
  ended?: number;
  terminating?: boolean;
}

export function jobPod(name: string, input: JobPodInput = {}): Stored<Pod> {
  const { phase = 'Running', index, failures, tracked = true, exitCode, ended, terminating } = input;
  const finishedAt = formatTime((ended ?? 0) * 1000);
  const pod = makePod(name, {
    phase,
    nodeName: 'a',
    labels: { 'batch.kubernetes.io/controller-uid': 'work' },
    metadata: {
      ownerReferences: [{ apiVersion: 'batch/v1', kind: 'Job', name: 'work', uid: 'work', controller: true }],
      ...(tracked ? { finalizers: [trackingFinalizer] } : {}),
      annotations: {
        ...(index === undefined ? {} : { [indexKey]: String(index) }),
        ...(failures === undefined ? {} : { [failuresKey]: String(failures) }),
      },
      ...(terminating ? { deletionTimestamp: '2026-01-01T00:00:00Z' } : {}),
    },
  });
  if (exitCode !== undefined || ended !== undefined) {
    const terminated = { exitCode: exitCode ?? (phase === 'Failed' ? 1 : 0), finishedAt };
    pod.status = {
      ...pod.status,
      containerStatuses: [
        { name: 'main', image: '', imageID: '', ready: false, restartCount: 0, state: { terminated } },
      ],
    };
  }
  return pod;
}

/** Tests only: ends each pod as `outcome` says, and lets terminating ones go. */
export async function runPods(
  api: MemoryObjects,
  outcome: (pod: Pod) => 'Succeeded' | 'Failed' | 'Running',
): Promise<() => void> {
  const abort = new AbortController();
  const informer = api.informers().informer({ type: pods });
  const quiet = (): undefined => undefined;
  const act = (pod: Stored<Pod>): void => {
    const { namespace, name } = pod.metadata;
    if (pod.metadata.deletionTimestamp) {
      if (pod.metadata.deletionGracePeriodSeconds !== 0)
        void api.delete(pods, { namespace, name }, { gracePeriodSeconds: 0 }).catch(quiet);
      return;
    }
    const phase = outcome(pod);
    if (pod.status?.phase === phase || pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed') return;
    // Long ago, so that nothing waits for a back-off.
    const state = { terminated: { exitCode: phase === 'Failed' ? 1 : 0, finishedAt: '2020-01-01T00:00:00Z' } };
    const containerStatuses = phase === 'Running' ? [] : [{ name: 'main', restartCount: 0, state }];
    const body = { status: { phase, containerStatuses } };
    void api.patch(pods, { namespace, name }, { type: 'strategic', body }, { subresource: 'status' }).catch(quiet);
  };
  informer.addHandler({ onAdd: act, onUpdate: act });
  await informer.start(abort.signal);
  return () => abort.abort();
}

export const readJob = (api: MemoryObjects): Promise<Stored<Job>> =>
  api.get(jobs, { namespace: 'default', name: 'work' });
