import { Histogram, type Registry } from 'prom-client';

export type PolicyMetrics = ReturnType<typeof createPolicyMetrics>;

/** Upstream has no names for these: policies are its network plugins' business. */
export function createPolicyMetrics(registry: Registry) {
  return {
    syncDuration: new Histogram({
      name: 'naru_network_policy_sync_duration_seconds',
      help: 'How long it took to make the rules of NetworkPolicies say what they should',
      buckets: Array.from({ length: 12 }, (_, power) => 0.001 * 2 ** power),
      registers: [registry],
    }),
  };
}
