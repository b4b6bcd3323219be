import type { Clock } from '@naru/foundation';
import type { CriClient } from '../cri/cri-client';
import type { RuntimeReading } from './node-status';

export interface RuntimeStateDeps {
  runtime: Pick<CriClient, 'status'>;
  clock: Clock;
  isShuttingDown: () => boolean;
}

const timeoutMs = 10_000;
/** maxWaitForContainerRuntime of pkg/kubelet/kubelet.go. */
const patienceMs = 30_000;

/**
 * What the container runtime says of itself. One that does not answer counts as down only after a while, for containers go on
 * without it: a runtime that is started anew must not cost the node its pods.
 */
export class RuntimeState {
  private answeredAt: number | undefined;
  private conditions: RuntimeReading['conditions'] = [];

  constructor(private readonly deps: RuntimeStateDeps) {}

  async read(): Promise<RuntimeReading> {
    const { runtime, clock, isShuttingDown } = this.deps;
    try {
      const { status, ...abilities } = await runtime.status(timeoutMs);
      this.answeredAt = clock.now();
      this.conditions = status?.conditions ?? [];
      return this.reading({ failure: undefined, isDown: false, shuttingDown: isShuttingDown(), abilities });
    } catch (error) {
      const isDown = this.answeredAt === undefined || clock.now() - this.answeredAt >= patienceMs;
      return this.reading({ failure: (error as Error).message, isDown, shuttingDown: isShuttingDown() });
    }
  }

  private reading(rest: Omit<RuntimeReading, 'conditions'>): RuntimeReading {
    return { ...rest, conditions: this.conditions };
  }
}
