import { Counter, Gauge, Histogram, type Registry } from 'prom-client';

const verbs = new Set([
  ...['get', 'list', 'watch', 'create', 'update', 'patch', 'delete', 'deletecollection', 'connect'],
  ...['head', 'options', 'post', 'put'],
]);

export interface ObservedTarget {
  group: string;
  version: string;
  resource: string;
  subresource: string;
}

export interface RequestMetricsDeps {
  registry: Registry;
  /** Whether there is such a resource: labels must not be made of whatever clients write into URLs. */
  isKnown(target: ObservedTarget): boolean;
  /** How many objects there are of each resource. */
  objectCounts(): Iterable<{ group: string; resource: string; count: number }>;
}

/** Upstream's request metrics, under upstream's names. */
export class RequestMetrics {
  private readonly total: Counter;
  private readonly duration: Histogram;
  private readonly inflight: Gauge;
  private readonly watches: Gauge;
  private readonly dropped: Counter;
  private readonly aborts: Counter;
  private readonly tlsErrors: Counter;
  private readonly durations = new Map<string, (seconds: number) => void>();
  private readonly counts = new Map<string, () => void>();

  constructor(private readonly deps: RequestMetricsDeps) {
    const registers = [deps.registry];
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
    this.dropped = new Counter({
      name: 'apiserver_dropped_requests_total',
      help: "Number of requests dropped with 'Try again later' response",
      labelNames: ['request_kind'],
      registers,
    });
    this.aborts = new Counter({
      name: 'apiserver_request_aborts_total',
      help: 'Number of requests which apiserver aborted, since their time was over or their client had gone.',
      labelNames: ['verb'],
      registers,
    });
    this.tlsErrors = new Counter({
      name: 'apiserver_tls_handshake_errors_total',
      help: "Number of requests dropped with 'TLS handshake error from' error",
      registers,
    });
    const objects = new Gauge({
      name: 'apiserver_resource_objects',
      help: 'Number of stored objects at the time of last check split by kind.',
      labelNames: ['group', 'resource'],
      registers,
      collect: () => {
        objects.reset();
        for (const { group, resource, count } of deps.objectCounts()) objects.set({ group, resource }, count);
      },
    });
    // The older name, which dashboards know: `pods`, `deployments.apps`.
    const storageObjects = new Gauge({
      name: 'apiserver_storage_objects',
      help: '[DEPRECATED, consider using apiserver_resource_objects instead] Number of stored objects at the time of last check split by kind.',
      labelNames: ['resource'],
      registers,
      collect: () => {
        storageObjects.reset();
        for (const { group, resource, count } of deps.objectCounts())
          storageObjects.set({ resource: group === '' ? resource : `${resource}.${group}` }, count);
      },
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

  /** Refused since there are too many already. */
  drop(kind: 'readOnly' | 'mutating'): void {
    this.dropped.inc({ request_kind: kind });
  }

  abort(verb: string): void {
    this.aborts.inc({ verb: cleanVerb(verb) });
  }

  tlsError(): void {
    this.tlsErrors.inc();
  }

  /** Label lookups are kept: they cost more than the counting. */
  observe(method: string, target: ObservedTarget, code: number, seconds: number): void {
    const verb = cleanVerb(method);
    const { group, version, resource, subresource } = this.deps.isKnown(target) ? target : nowhere;
    const key = `${verb}|${group}|${version}|${resource}|${subresource}`;
    let observe = this.durations.get(key);
    const labels = { verb, group, version, resource, subresource };
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

const nowhere: ObservedTarget = { group: '', version: '', resource: '', subresource: '' };

function cleanVerb(verb: string): string {
  return verbs.has(verb) ? verb.toUpperCase() : 'OTHER';
}
