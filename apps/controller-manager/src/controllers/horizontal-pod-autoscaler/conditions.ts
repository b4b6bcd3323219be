import type { HorizontalPodAutoscaler } from '@naru/api';
import { formatTime } from '@naru/foundation';

type Condition = NonNullable<NonNullable<HorizontalPodAutoscaler['status']>['conditions']>[number];
type ConditionType = 'AbleToScale' | 'ScalingActive' | 'ScalingLimited';

/** The conditions as they are to be written; their times change with their status only. */
export class Conditions {
  private readonly all: Condition[];

  constructor(
    autoscaler: HorizontalPodAutoscaler,
    private readonly now: number,
  ) {
    this.all = [...(autoscaler.status?.conditions ?? [])];
  }

  set(type: ConditionType, status: 'True' | 'False', reason: string, message: string): void {
    const at = this.all.findIndex(condition => condition.type === type);
    const known = this.all[at];
    const lastTransitionTime =
      known?.status === status ? (known.lastTransitionTime ?? formatTime(this.now)) : formatTime(this.now);
    const next = { type, status, reason, message, lastTransitionTime };
    if (at < 0) this.all.push(next);
    else this.all[at] = next;
  }

  get list(): Condition[] {
    return this.all;
  }
}
