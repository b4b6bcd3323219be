import {
  customResourceDefinitions,
  deepEqual,
  definitions,
  namespaces,
  pods,
  type Namespace,
  type ResourceType,
  type Stored,
} from '@naru/api';
import type { ReconcileResult } from '@naru/client';
import { isReason } from '@naru/foundation';
import { customTypes } from '../../framework/custom-types';
import { watch, type Controller, type ControllerDeps } from '../../framework/controller';
import { deletionConditions, type Remaining } from './deletion-conditions';

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

/** Deletes all objects of a resource in a namespace; answers what is left of them, or why that failed. */
async function deleteAll(type: ResourceType, namespace: string, { client }: ControllerDeps): Promise<Remaining> {
  try {
    const before = await client.list(type, { namespace });
    if (before.items.length === 0) return { type, count: 0, finalizers: [] };
    if (before.items.some(({ metadata }) => !metadata.deletionTimestamp))
      await client.deleteCollection(type, { namespace }, { propagationPolicy: 'Background' });
    const { items } = await client.list(type, { namespace });
    return { type, count: items.length, finalizers: items.flatMap(({ metadata }) => metadata.finalizers ?? []) };
  } catch (error) {
    return { type, count: 0, finalizers: [], error: error as Error };
  }
}

async function reconcile(name: string, deps: ControllerDeps): Promise<ReconcileResult> {
  const { client, informers, logger } = deps;
  const namespace = informers.lister(namespaces).get({ name });
  if (!namespace?.metadata.deletionTimestamp || !namespace.spec?.finalizers?.includes(finalizer)) return undefined;
  // What pods use stays until the last of them is gone.
  let results = [await deleteAll(pods, name, deps)];
  if (!results.some(isInTheWay)) {
    const others = [...namespacedResources(), ...customTypes(informers).filter(type => type.namespaced)];
    results = await Promise.all(
      others
        .filter(type => type.resource !== pods.resource || type.group !== '')
        .map(type => deleteAll(type, name, deps)),
    );
  }
  if (results.some(isInTheWay)) {
    await report(namespace, results, deps);
    const failed = results.find(({ error }) => error);
    if (failed) throw failed.error!;
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

const isInTheWay = ({ count, error }: Remaining): boolean => count > 0 || error !== undefined;

/** kubectl describe then says what keeps a namespace from going. */
async function report(
  namespace: Stored<Namespace>,
  results: readonly Remaining[],
  { client, clock }: ControllerDeps,
): Promise<void> {
  const known = namespace.status?.conditions ?? [];
  const conditions = deletionConditions(results, known, clock.now());
  if (conditions.every(condition => known.some(each => deepEqual(each, condition)))) return;
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
