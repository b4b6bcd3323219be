import {
  apiServices,
  customResourceDefinitions,
  deepEqual,
  namespaces,
  pods,
  type Namespace,
  type Stored,
} from '@naru/api';
import type { ReconcileResult } from '@naru/client';
import { isReason } from '@naru/foundation';
import { watch, type Controller, type ControllerDeps } from '../../framework/controller';
import { extensionContents, ownContent, ownContents, type Content } from './content';
import { deletionConditions, type Remaining } from './deletion-conditions';

const finalizer = 'kubernetes';
/** How often to look whether what is being deleted is gone; terminating pods take their time. */
const recheckMs = 1_000;

/** Deletes all objects of a resource; answers what is left of them, or why that failed. */
async function deleteAll({ type, list, remove }: Content): Promise<Remaining> {
  try {
    const before = await list();
    if (before.length === 0) return { type, count: 0, finalizers: [] };
    if (before.some(({ metadata }) => !metadata.deletionTimestamp)) await remove(before);
    const after = await list();
    return { type, count: after.length, finalizers: after.flatMap(({ metadata }) => metadata.finalizers ?? []) };
  } catch (error) {
    return { type, count: 0, finalizers: [], error: error as Error };
  }
}

async function reconcile(name: string, deps: ControllerDeps): Promise<ReconcileResult> {
  const { client, informers, logger } = deps;
  const namespace = informers.lister(namespaces).get({ name });
  if (!namespace?.metadata.deletionTimestamp || !namespace.spec?.finalizers?.includes(finalizer)) return undefined;
  const { contents, failures } = await extensionContents(name, deps);
  // What pods use stays until the last of them is gone.
  let results = [await deleteAll(ownContent(pods, name, deps))];
  if (!results.some(isInTheWay))
    results = await Promise.all([...ownContents(name, deps), ...contents].map(content => deleteAll(content)));
  if (failures.length > 0 || results.some(isInTheWay)) {
    await report(
      namespace,
      deletionConditions(results, failures, namespace.status?.conditions ?? [], deps.clock.now()),
      deps,
    );
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
  { metadata: { name }, status }: Stored<Namespace>,
  conditions: ReturnType<typeof deletionConditions>,
  { client }: ControllerDeps,
): Promise<void> {
  if (conditions.every(condition => status?.conditions?.some(known => deepEqual(known, condition)))) return;
  const body = { status: { conditions } };
  await client.patch(namespaces, { name }, { type: 'strategic', body }, { subresource: 'status' });
}

/** Empties namespaces that are being deleted, and lets them go when they are empty. */
export const namespaceController: Controller = {
  name: 'namespace-controller',
  concurrency: 10,
  // Definitions and extension servers wake nobody: they are read when a namespace goes.
  watches: () => [
    watch(namespaces, ({ metadata }) => [metadata.name]),
    watch(customResourceDefinitions, () => []),
    watch(apiServices, () => []),
  ],
  build: deps => ({ reconcile: key => reconcile(key, deps) }),
};
