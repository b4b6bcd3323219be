import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { Scheduler } from './scheduler';

export interface SchedulerMetrics {
  attempts: Counter<'result' | 'profile'>;
  attemptDuration: Histogram;
}

/** Upstream's names. */
export function createSchedulerMetrics(registry: Registry): SchedulerMetrics {
  return {
    attempts: new Counter({
      name: 'scheduler_schedule_attempts_total',
      help: 'Number of attempts to schedule pods, by the result',
      labelNames: ['result', 'profile'],
      registers: [registry],
    }),
    attemptDuration: new Histogram({
      name: 'scheduler_scheduling_attempt_duration_seconds',
      help: 'Scheduling attempt latency in seconds (scheduling algorithm + binding)',
      buckets: [0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1, 2, 4, 8, 16],
      registers: [registry],
    }),
  };
}

/** Gauges that read the scheduler when they are scraped. */
export function registerSchedulerGauges(registry: Registry, scheduler: Scheduler): void {
  new Gauge({
    name: 'scheduler_pending_pods',
    help: 'Number of pending pods, by the queue type',
    labelNames: ['queue'],
    registers: [registry],
    collect() {
      for (const [queue, count] of Object.entries(scheduler.queue.pending)) this.set({ queue }, count);
    },
  });
  new Gauge({
    name: 'scheduler_cache_size',
    help: 'Number of nodes, pods, and assumed (bound) pods in the scheduler cache',
    labelNames: ['type'],
    registers: [registry],
    collect() {
      this.set({ type: 'nodes' }, scheduler.cache.nodeCount);
      this.set({ type: 'pods' }, scheduler.cache.podCount);
      this.set({ type: 'assumed_pods' }, scheduler.cache.assumedCount);
    },
  });
}
