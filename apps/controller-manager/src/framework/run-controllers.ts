import { createWorkqueue, readYourWrites, type Reconcile, type ReconcileResult, type Workqueue } from '@naru/client';
import { isReason } from '@naru/foundation';
import type { Controller, ControllerDeps, SharedDeps } from './controller';

/** A write lost a race: the winner's event is on its way, so look again soon rather than back off. */
const conflictDelayMs = 25;
/** Timers reach no further than 24 days. Looking again once a day does no harm. */
const longestDelayMs = 24 * 3_600_000;

export interface RunningControllers {
  /** To be called when every informer is synced: who decides upon half of what there is creates the other half again. */
  begin(): void;
  /** Resolves when the running reconciles have ended. */
  stop(): Promise<void>;
}

/** Builds the controllers and attaches them to the informers, which are to be started afterwards. */
export function runControllers(controllers: readonly Controller[], deps: SharedDeps): RunningControllers {
  const { informers } = deps;
  const client = readYourWrites(deps.client, (type, written) => informers.observe(type, written));
  let begin: () => void = () => undefined;
  const begun = new Promise<void>(resolve => (begin = resolve));
  const queues = controllers.map(controller => start(controller, { ...deps, client }, begun));
  return {
    begin,
    async stop() {
      const ends = queues.map(queue => queue.shutDown());
      begin();
      await Promise.all(ends);
    },
  };
}

function start(controller: Controller, shared: SharedDeps, begun: Promise<void>): Workqueue {
  const logger = shared.logger.child({ controller: controller.name });
  // The queue needs the reconciler, and the reconciler may enqueue as soon as it is built: tied together last.
  let reconcile: Reconcile = async () => undefined;
  const queue = createWorkqueue({
    name: controller.name,
    concurrency: controller.concurrency ?? 5,
    logger,
    clock: shared.clock,
    async reconcile(key, signal): Promise<ReconcileResult> {
      await begun;
      if (signal.aborted) return undefined;
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
  const deps: ControllerDeps = {
    ...shared,
    logger,
    recorder: shared.recorder(controller.eventSource ?? controller.name),
    enqueue: (key, delayMs = 0) => queue.addAfter(key, Math.min(delayMs, longestDelayMs)),
  };
  const watches = controller.watches(deps);
  reconcile = controller.build(deps).reconcile;
  for (const watch of watches) watch.attach(deps.informers, key => queue.add(key));
  return queue;
}
