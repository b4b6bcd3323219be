import { Counter, Gauge, Histogram, type Registry } from 'prom-client';

/** 1 ms to 16 s, as upstream's exponential buckets. */
const durationBuckets = Array.from({ length: 15 }, (_, power) => 0.001 * 2 ** power);

export type ProxyMetrics = ReturnType<typeof createProxyMetrics>;

/** Upstream's names (pkg/proxy/metrics). */
export function createProxyMetrics(registry: Registry) {
  const registers = [registry];
  const labelNames = ['ip_family'] as const;
  type Label = (typeof labelNames)[number];
  const histogram = (name: string, help: string, buckets = durationBuckets): Histogram<Label> =>
    new Histogram({ name: `kubeproxy_${name}`, help, buckets, labelNames, registers });
  const gauge = (name: string, help: string): Gauge<Label> =>
    new Gauge({ name: `kubeproxy_${name}`, help, labelNames, registers });
  const counter = (name: string, help: string): Counter => new Counter({ name: `kubeproxy_${name}`, help, registers });
  return {
    syncDuration: histogram('sync_proxy_rules_duration_seconds', 'SyncProxyRules latency in seconds'),
    fullSyncDuration: histogram(
      'sync_full_proxy_rules_duration_seconds',
      'SyncProxyRules latency in seconds for full resyncs',
    ),
    partialSyncDuration: histogram(
      'sync_partial_proxy_rules_duration_seconds',
      'SyncProxyRules latency in seconds for partial resyncs',
    ),
    programmingDuration: histogram(
      'network_programming_duration_seconds',
      'In cluster network programming latency in seconds: from the change of a pod or Service to its rules',
      [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 120, 300],
    ),
    lastSync: gauge('sync_proxy_rules_last_timestamp_seconds', 'The last time proxy rules were successfully synced'),
    lastQueued: gauge(
      'sync_proxy_rules_last_queued_timestamp_seconds',
      'The last time a sync of proxy rules was queued',
    ),
    endpointChanges: counter('sync_proxy_rules_endpoint_changes_total', 'Cumulative proxy rules Endpoint changes'),
    serviceChanges: counter('sync_proxy_rules_service_changes_total', 'Cumulative proxy rules Service changes'),
    pendingChanges: gauge(
      'sync_proxy_rules_service_changes_pending',
      'Services whose changes are not in the rules yet',
    ),
    failures: new Counter({
      name: 'kubeproxy_sync_proxy_rules_failures_total',
      help: 'Cumulative failed syncs of proxy rules',
      labelNames,
      registers,
    }),
  };
}
