import { StatusError } from '@naru/foundation';
import { labelSelectorOf, podDisruptionBudgets, type Eviction, type Pod, type PodDisruptionBudget } from '@naru/api';
import { admitBody } from '../objects/admission-request';
import { decodeAny } from '../objects/body';
import { deleteObject } from '../objects/delete';
import type { ObjectDeps } from '../objects/deps';
import { notFound } from '../objects/failures';
import { modifyObject } from '../objects/modify';
import { jsonReply, type Body, type DeleteOptions, type ObjectReply, type ObjectRequest } from '../objects/request';
import { decodeBytes } from '../storage/codec';
import type { Subresource } from './subresource';

const success = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code: 201 };

/** Deletes a pod as far as its disruption budget allows: what `kubectl drain` asks for. */
export const podEviction: Subresource = { name: '/pods/eviction', create: evict };

async function evict(deps: ObjectDeps, request: ObjectRequest, body: Body): Promise<ObjectReply> {
  const posted = (await decodeAny(body)) as Eviction | undefined;
  const { name, namespace } = request;
  const eviction = await admitBody(deps, request, 'create', {
    object: {
      ...posted,
      apiVersion: 'policy/v1',
      kind: 'Eviction',
      metadata: { ...posted?.metadata, name, namespace },
    } as Eviction,
  });
  const entry = deps.storage.cache(request.definition).get(request.namespace, request.name);
  if (!entry) throw notFound(request.definition.type, request.name);
  const pod = decodeBytes<Pod>(entry.bytes);
  if (countsAsDisruption(pod)) await spendBudget(deps, request, pod);
  const options = (eviction.deleteOptions ?? {}) as DeleteOptions;
  await deleteObject(deps, { ...request, subresource: '', verb: 'delete' }, options);
  return jsonReply(success, 201);
}

/** Pods that have ended, never started or are on their way out may always go. */
function countsAsDisruption({ metadata, status }: Pod): boolean {
  return !metadata?.deletionTimestamp && !['Succeeded', 'Failed', 'Pending'].includes(status?.phase ?? 'Pending');
}

async function spendBudget(deps: ObjectDeps, request: ObjectRequest, pod: Pod): Promise<void> {
  const definition = deps.scheme.byResource('policy', 'v1', podDisruptionBudgets.resource)!;
  const budgets = deps.storage
    .cache(definition)
    .select({ namespace: request.namespace })
    .map(({ bytes }) => decodeBytes<PodDisruptionBudget>(bytes))
    .filter(({ spec }) => labelSelectorOf(spec?.selector).matches(pod.metadata?.labels));
  if (budgets.length === 0) return;
  if (budgets.length > 1)
    throw new StatusError(
      'InternalError',
      'This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.',
    );
  const [budget] = budgets;
  if (!isReady(pod) && mayGoUnhealthy(budget!)) return;
  const name = budget!.metadata!.name!;
  await modifyObject(
    deps,
    { ...request, definition, name, subresource: 'status' },
    {
      mode: 'raw',
      transform: current => {
        const { status, metadata } = current as PodDisruptionBudget;
        const observed = status?.observedGeneration ?? 0;
        const allowed = status?.disruptionsAllowed ?? 0;
        if (observed < (metadata?.generation ?? 0) || allowed <= 0)
          throw refuse(name, current as PodDisruptionBudget, observed);
        status!.disruptionsAllowed = allowed - 1;
        status!.disruptedPods = {
          ...status!.disruptedPods,
          [request.name]: new Date(deps.clock.now()).toISOString().replace(/\.\d+/, ''),
        } as never;
        return current;
      },
    },
  );
}

function isReady({ status }: Pod): boolean {
  return status?.conditions?.some(({ type, status: value }) => type === 'Ready' && value === 'True') ?? false;
}

/** A pod that serves nobody may go without spending the budget: always, or while the others are enough. */
function mayGoUnhealthy({ spec, status }: PodDisruptionBudget): boolean {
  if (spec?.unhealthyPodEvictionPolicy === 'AlwaysAllow') return true;
  const desired = status?.desiredHealthy ?? 0;
  return desired > 0 && (status?.currentHealthy ?? 0) >= desired;
}

function refuse(name: string, { status, metadata }: PodDisruptionBudget, observed: number): StatusError {
  const why =
    observed < (metadata?.generation ?? 0)
      ? `The disruption budget ${name} is still being processed by the server.`
      : `The disruption budget ${name} needs ${status?.desiredHealthy} healthy pods and has ${status?.currentHealthy} currently`;
  return new StatusError('TooManyRequests', "Cannot evict pod as it would violate the pod's disruption budget.", {
    details: { causes: [{ reason: 'DisruptionBudget', message: why }] },
  });
}
