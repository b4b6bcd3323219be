import { Gauge, type Registry } from 'prom-client';
import { workqueueStats, type WorkqueueStats } from './workqueue';

/** Adds upstream's workqueue metrics, read from the queues when they are scraped. */
export function registerWorkqueueMetrics(registry: Registry): void {
  const gauge = (name: string, help: string, read: (stats: WorkqueueStats) => number): void => {
    new Gauge({
      name,
      help,
      labelNames: ['name'],
      registers: [registry],
      collect() {
        for (const stats of workqueueStats()) this.set({ name: stats.name }, read(stats));
      },
    });
  };
  gauge('workqueue_depth', 'Current depth of workqueue', stats => stats.depth);
  gauge('workqueue_adds_total', 'Total number of adds handled by workqueue', stats => stats.adds);
  gauge('workqueue_retries_total', 'Total number of retries handled by workqueue', stats => stats.retries);
  gauge('workqueue_unfinished_work', 'Keys that are being worked on', stats => stats.running);
}
