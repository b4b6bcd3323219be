import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import { observeWorkqueues, workqueueStats, type WorkqueueStats } from './workqueue';

/** Upstream's: powers of ten from ten nanoseconds to ten seconds. */
const buckets = Array.from({ length: 10 }, (_, power) => 10 ** (power - 8));

/** Adds upstream's workqueue metrics; numbers are read from the queues when they are scraped. */
export function registerWorkqueueMetrics(registry: Registry): void {
  const labelNames = ['name'];
  const registers = [registry];
  const gauge = (name: string, help: string, read: (stats: WorkqueueStats) => number): void => {
    const collect = function (this: Gauge): void {
      for (const stats of workqueueStats()) this.set({ name: stats.name }, read(stats));
    };
    new Gauge({ name, help, labelNames, registers, collect });
  };
  const counter = (name: string, help: string, read: (stats: WorkqueueStats) => number): void => {
    const collect = function (this: Counter): void {
      this.reset();
      for (const stats of workqueueStats()) this.inc({ name: stats.name }, read(stats));
    };
    new Counter({ name, help, labelNames, registers, collect });
  };
  gauge('workqueue_depth', 'Current depth of workqueue', stats => stats.depth);
  counter('workqueue_adds_total', 'Total number of adds handled by workqueue', stats => stats.adds);
  counter('workqueue_retries_total', 'Total number of retries handled by workqueue', stats => stats.retries);
  gauge(
    'workqueue_unfinished_work_seconds',
    'How long the keys that are being worked on have been, together',
    stats => stats.unfinishedSeconds,
  );
  gauge(
    'workqueue_longest_running_processor_seconds',
    'How long the key that has been worked on longest has been',
    stats => stats.longestSeconds,
  );
  const waited = new Histogram({
    name: 'workqueue_queue_duration_seconds',
    help: 'How long a key stays in the workqueue before it is taken',
    labelNames,
    registers,
    buckets,
  });
  const worked = new Histogram({
    name: 'workqueue_work_duration_seconds',
    help: 'How long working on a key takes',
    labelNames,
    registers,
    buckets,
  });
  observeWorkqueues({
    waited: (name, seconds) => waited.observe({ name }, seconds),
    worked: (name, seconds) => worked.observe({ name }, seconds),
  });
}
