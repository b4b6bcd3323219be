import {
  customResourceDefinitions,
  definitions,
  namespaces,
  pods,
  type Namespace,
  type ResourceType,
  type Stored,
} from '@naru/api';
import type { ReconcileResult } from '@naru/client';
import { formatTime, isReason } from '@naru/foundation';
import { customTypes } from '../../framework/custom-types';
import { watch, type Controller, type ControllerDeps } from '../../framework/controller';

const finalizer = 'kubernetes';
/** How often to look whether what is being deleted is gone; terminating pods take their time. */
const recheckMs = 1_000;

/** What has to go with a namespace. */
function namespacedResources(): ResourceType[] {
  return definitions
    .filter(
      ({ type, verbs, storedAs }) => type.namespaced && verbs.includes('delete') && verbs.includes('list') && !storedAs,
    )
    .map(({ type }) => type);
}

interface Remaining {
  type: ResourceType;
  count: number;
  finalizers: string[];
}

/** Deletes all objects of a resource in a namespace; answers what is left of them. */
async function deleteAll(type: ResourceType, namespace: string, { client }: ControllerDeps): Promise<Remaining> {
  const before = await client.list(type, { namespace });
  if (before.items.length === 0) return { type, count: 0, finalizers: [] };
  if (before.items.some(({ metadata }) => !metadata.deletionTimestamp)) {
    await client.deleteCollection(type, { namespace }, { propagationPolicy: 'Background' });
  }
  const { items } = await client.list(type, { namespace });
  return { type, count: items.length, finalizers: items.flatMap(({ metadata }) => metadata.finalizers ?? []) };
}

async function reconcile(name: string, deps: ControllerDeps): Promise<ReconcileResult> {
  const { client, informers, logger } = deps;
  const namespace = informers.lister(namespaces).get({ name });
  if (!namespace?.metadata.deletionTimestamp || !namespace.spec?.finalizers?.includes(finalizer)) return undefined;
  const resources = [...namespacedResources(), ...customTypes(informers).filter(type => type.namespaced)];
  // Pods last: what would replace them goes first.
  const results = await Promise.all(
    resources.filter(type => type.resource !== pods.resource).map(type => deleteAll(type, name, deps)),
  );
  results.push(await deleteAll(pods, name, deps));
  const left = results.filter(({ count }) => count > 0);
  if (left.length > 0) {
    await reportRemaining(namespace, left, deps);
    return { requeueAfterMs: recheckMs };
  }
  const finalizers = namespace.spec.finalizers.filter(entry => entry !== finalizer);
  try {
    await client.update(
      namespaces,
      { ...namespace, spec: { ...namespace.spec, finalizers } },
      { subresource: 'finalize' },
    );
    logger.info({ namespace: name }, 'namespace is empty');
  } catch (error) {
    if (!isReason(error, 'NotFound')) throw error;
  }
  return undefined;
}

/** Upstream's conditions: kubectl describe then says what keeps a namespace from going. */
async function reportRemaining(
  namespace: Stored<Namespace>,
  left: readonly Remaining[],
  { client, clock }: ControllerDeps,
): Promise<void> {
  const contents = left
    .map(({ type, count }) => `${type.resource}.${type.group} has ${count} resource instances`)
    .join(', ');
  const blockers = new Map<string, number>();
  for (const entry of left.flatMap(({ finalizers }) => finalizers)) blockers.set(entry, (blockers.get(entry) ?? 0) + 1);
  const finalizers = [...blockers].map(([entry, count]) => `${entry} in ${count} resource instances`).join(', ');
  const wanted = [
    {
      type: 'NamespaceContentRemaining',
      status: 'True',
      reason: 'SomeResourcesRemain',
      message: `Some resources are remaining: ${contents}`,
    },
    blockers.size > 0
      ? {
          type: 'NamespaceFinalizersRemaining',
          status: 'True',
          reason: 'SomeFinalizersRemain',
          message: `Some content in the namespace has finalizers remaining: ${finalizers}`,
        }
      : {
          type: 'NamespaceFinalizersRemaining',
          status: 'False',
          reason: 'ContentHasNoFinalizers',
          message: 'All content-preserving finalizers finished',
        },
  ];
  const conditions = wanted.map(condition => {
    const known = namespace.status?.conditions?.find(({ type }) => type === condition.type);
    const since = known?.status === condition.status ? known.lastTransitionTime : formatTime(clock.now());
    return { ...condition, lastTransitionTime: since };
  });
  const same = conditions.every(({ type, message }) =>
    namespace.status?.conditions?.some(known => known.type === type && known.message === message),
  );
  if (same) return;
  const body = { status: { conditions } };
  await client.patch(
    namespaces,
    { name: namespace.metadata.name },
    { type: 'strategic', body },
    { subresource: 'status' },
  );
}

/** Empties namespaces that are being deleted, and lets them go when they are empty. */
export const namespaceController: Controller = {
  name: 'namespace-controller',
  concurrency: 10,
  // Definitions wake nobody: they are read when a namespace goes.
  watches: () => [watch(namespaces, ({ metadata }) => [metadata.name]), watch(customResourceDefinitions, () => [])],
  build: deps => ({ reconcile: key => reconcile(key, deps) }),
};
