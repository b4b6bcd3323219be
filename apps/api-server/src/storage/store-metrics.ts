import { Counter, Histogram, type Registry } from 'prom-client';
import type { ResourceType } from '@naru/api';

/** As upstream calls what it asks of etcd. */
export type StoreOperation = 'create' | 'update' | 'delete' | 'list';

const labelNames = ['operation', 'group', 'resource'];

interface Children {
  duration: { observe(seconds: number): void };
  total: { inc(): void };
  errors: { inc(): void };
}

/** What the store is asked and how long it takes, under upstream's names, whichever store it is. */
export class StoreMetrics {
  private readonly duration: Histogram;
  private readonly total: Counter;
  private readonly errors: Counter;
  /** Label lookups are kept: they cost more than the counting. */
  private readonly children = new Map<string, Children>();

  constructor(registry: Registry) {
    const registers = [registry];
    this.duration = new Histogram({
      name: 'etcd_request_duration_seconds',
      help: 'Store request latency in seconds for each operation and object type.',
      labelNames,
      buckets: [0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 1.25, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45, 60],
      registers,
    });
    this.total = new Counter({
      name: 'etcd_requests_total',
      help: 'Store request counts for each operation and object type.',
      labelNames,
      registers,
    });
    this.errors = new Counter({
      name: 'etcd_request_errors_total',
      help: 'Failed store request counts for each operation and object type.',
      labelNames,
      registers,
    });
  }

  /** Notes how long `ask` takes, and whether it fails. */
  async measure<T>(
    operation: StoreOperation,
    { group, resource }: Pick<ResourceType, 'group' | 'resource'>,
    ask: () => Promise<T>,
  ): Promise<T> {
    const { duration, total, errors } = this.childrenOf(operation, group, resource);
    const begun = performance.now();
    try {
      return await ask();
    } catch (error) {
      errors.inc();
      throw error;
    } finally {
      duration.observe((performance.now() - begun) / 1000);
      total.inc();
    }
  }

  private childrenOf(operation: StoreOperation, group: string, resource: string): Children {
    const key = `${operation}/${group}/${resource}`;
    let children = this.children.get(key);
    if (!children) {
      const labels = { operation, group, resource };
      const [duration, total, errors] = [this.duration, this.total, this.errors].map(metric => metric.labels(labels));
      this.children.set(key, (children = { duration, total, errors } as Children));
    }
    return children;
  }
}
