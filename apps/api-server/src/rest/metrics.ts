import { Counter, Gauge, Histogram, type Registry } from 'prom-client';

/** Upstream's request metrics, under upstream's names. */
export class RequestMetrics {
  private readonly total: Counter;
  private readonly duration: Histogram;
  private readonly inflight: Gauge;
  private readonly watches: Gauge;
  private readonly durations = new Map<string, (seconds: number) => void>();
  private readonly counts = new Map<string, () => void>();

  constructor(registry: Registry) {
    const registers = [registry];
    this.total = new Counter({
      name: 'apiserver_request_total',
      help: 'Counter of apiserver requests broken out for each verb, group, version, resource, scope and HTTP code.',
      labelNames: ['verb', 'group', 'version', 'resource', 'subresource', 'code'],
      registers,
    });
    this.duration = new Histogram({
      name: 'apiserver_request_duration_seconds',
      help: 'Response latency distribution in seconds for each verb, group, version, resource and subresource.',
      labelNames: ['verb', 'group', 'version', 'resource', 'subresource'],
      buckets: [
        0.001, 0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 1.25, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45, 60,
      ],
      registers,
    });
    this.inflight = new Gauge({
      name: 'apiserver_current_inflight_requests',
      help: 'Maximal number of currently used inflight request limit of this apiserver per request kind in last second.',
      labelNames: ['request_kind'],
      registers,
    });
    this.watches = new Gauge({
      name: 'apiserver_longrunning_requests',
      help: 'Gauge of all active long-running apiserver requests broken out by verb and resource.',
      labelNames: ['verb', 'resource'],
      registers,
    });
  }

  setInflight(kind: 'readOnly' | 'mutating', count: number): void {
    this.inflight.set({ request_kind: kind }, count);
  }

  watch(resource: string, change: 1 | -1): void {
    this.watches.inc({ verb: 'WATCH', resource }, change);
  }

  /** Label lookups are kept: they cost more than the counting. */
  observe(
    verb: string,
    target: { group: string; version: string; resource: string; subresource: string },
    code: number,
    seconds: number,
  ): void {
    const { group, version, resource, subresource } = target;
    const key = `${verb}|${group}|${version}|${resource}|${subresource}`;
    let observe = this.durations.get(key);
    const labels = { verb: verb.toUpperCase(), group, version, resource, subresource };
    if (!observe) {
      const child = this.duration.labels(labels);
      this.durations.set(key, (observe = value => child.observe(value)));
    }
    observe(seconds);
    let count = this.counts.get(`${key}|${code}`);
    if (!count) {
      const child = this.total.labels({ ...labels, code: String(code) });
      this.counts.set(`${key}|${code}`, (count = () => child.inc()));
    }
    count();
  }
}
