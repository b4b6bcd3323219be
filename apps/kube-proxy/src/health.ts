import type { Clock, HealthCheck } from '@naru/foundation';
import type { PodNetwork } from './pod-network/pod-network';
import type { ServiceProxy } from './service-proxy';

/** A change that has waited for its rules so long means that this process is stuck. */
const stuckAfterMs = 60_000;

/** False when changes have waited for their rules for so long that nothing should be sent here. */
export function followsChanges({ waitingSince }: ServiceProxy, clock: Clock): boolean {
  return waitingSince === undefined || clock.now() - waitingSince <= stuckAfterMs;
}

export function healthChecks(
  proxy: ServiceProxy,
  network: PodNetwork | undefined,
  clock: Clock,
): { live: HealthCheck[]; ready: HealthCheck[] } {
  const live = {
    name: 'rules-follow',
    check() {
      const since = proxy.waitingSince;
      if (since !== undefined && !followsChanges(proxy, clock)) {
        throw new Error(`changes have waited for ${Math.round((clock.now() - since) / 1000)} s`);
      }
    },
  };
  const synced = {
    name: 'rules-synced',
    check() {
      if (proxy.lastSyncedAt === undefined) throw new Error('the rules have not been written yet');
    },
  };
  const podNetwork = { name: 'pod-network', check: () => network?.checkReady() };
  return { live: [live], ready: [synced, podNetwork] };
}

/** What upstream's kube-proxy says at /healthz. */
export function describeHealth(proxy: ServiceProxy, clock: Clock): Record<string, unknown> {
  const { lastSyncedAt } = proxy;
  return {
    lastUpdated: lastSyncedAt === undefined ? null : new Date(lastSyncedAt).toISOString(),
    currentTime: new Date(clock.now()).toISOString(),
    nodeEligible: true,
  };
}
