import { createWorkqueue, type ReconcileResult, type Workqueue } from '@naru/client';
import { isReason } from '@naru/foundation';
import type { Controller, ControllerDeps } from './controller';

/** A write lost a race: the winner's event is on its way, so look again soon rather than back off. */
const conflictDelayMs = 25;
/** Timers reach no further than 24 days. Looking again once a day does no harm. */
const longestDelayMs = 24 * 3_600_000;

/**
 * Builds the controllers and attaches them to the informers, which are to be started afterwards. The function returned
 * stops them and resolves when the running reconciles have ended.
 */
export function runControllers(
  controllers: readonly Controller[],
  deps: Omit<ControllerDeps, 'enqueue'>,
): () => Promise<void> {
  const queues = controllers.map(controller => start(controller, deps));
  return async () => {
    await Promise.all(queues.map(queue => queue.shutDown()));
  };
}

function start(controller: Controller, shared: Omit<ControllerDeps, 'enqueue'>): Workqueue {
  const logger = shared.logger.child({ controller: controller.name });
  // The queue needs the reconciler, and the reconciler may want to enqueue: tied together last.
  const late: { queue?: Workqueue } = {};
  const deps: ControllerDeps = {
    ...shared,
    logger,
    enqueue: (key, delayMs = 0) => late.queue?.addAfter(key, Math.min(delayMs, longestDelayMs)),
  };
  const watches = controller.watches(deps);
  const { reconcile } = controller.build(deps);
  const created = createWorkqueue({
    name: controller.name,
    concurrency: controller.concurrency ?? 5,
    logger,
    clock: deps.clock,
    async reconcile(key, signal): Promise<ReconcileResult> {
      try {
        const result = await reconcile(key, signal);
        const delayMs = result?.requeueAfterMs;
        return delayMs === undefined ? undefined : { requeueAfterMs: Math.min(delayMs, longestDelayMs) };
      } catch (error) {
        if (isReason(error, 'Conflict')) return { requeueAfterMs: conflictDelayMs };
        throw error;
      }
    },
  });
  late.queue = created;
  for (const watch of watches) watch.attach(deps.informers, key => created.add(key));
  return created;
}
