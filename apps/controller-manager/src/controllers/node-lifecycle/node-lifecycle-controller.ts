import { leases, nodes, pods, type Lease, type Node, type Stored } from '@naru/api';
import type { ReconcileResult } from '@naru/client';
import { formatTime, isReason } from '@naru/foundation';
import { watch, type Controller, type ControllerDeps } from '../../framework/controller';
import { withKind } from '../../framework/owner';
import { isPodReady, podCondition } from '../../pods/pod-state';
import { NodeHealth, unknownConditions } from './node-health';
import { desiredTaints, readyStatus, wantedNoExecute } from './taints';
import { EvictionBudget, evictionRate, zoneState } from './zone-state';

const leaseNamespace = 'kube-node-lease';
/** How often to see whether the api-server answers, and whether a disruption is over. */
const probeMs = 1_000;
/** How often a node that waits for its turn to be evicted is looked at, at least. */
const maxWaitMs = 5_000;

/** Zones of two regions may have one name. The older names of the labels count where the newer are not there. */
function zoneOf({ metadata }: Node): string {
  const part = (name: 'region' | 'zone'): string =>
    metadata?.labels?.[`topology.kubernetes.io/${name}`] ??
    metadata?.labels?.[`failure-domain.beta.kubernetes.io/${name}`] ??
    '';
  return `${part('region')}/${part('zone')}`;
}

class NodeLifecycle {
  private readonly health: NodeHealth;
  private readonly budgets = new Map<string, EvictionBudget>();
  private readonly known = new Map<string, Stored<Node>>();

  constructor(private readonly deps: ControllerDeps) {
    this.health = new NodeHealth(deps.config);
    void this.watchForOutages();
  }

  async reconcile(name: string): Promise<ReconcileResult> {
    const { informers, clock } = this.deps;
    const node = informers.lister(nodes).get({ name });
    if (!node) return this.forget(name);
    this.welcome(node);
    const lease = informers.lister(leases).get({ namespace: leaseNamespace, name });
    this.health.observe(name, node, lease, clock.now());
    const remaining = this.health.remainingMs(name, lease, clock.now());
    const current = remaining > 0 ? node : await this.judgeSilent(node);
    // A kubelet that is alive and not ready knows its pods better than we do.
    if (readyStatus(current) === 'Unknown') await this.markPodsNotReady(name);
    const waitMs = await this.taint(current);
    const untilSilentMs = Math.max(this.health.remainingMs(name, lease, clock.now()), 1);
    // An unreachable node is not looked at again for its silence: its next sign of life is an event.
    const next = remaining > 0 ? Math.min(untilSilentMs, waitMs) : Math.min(waitMs, maxWaitMs);
    return { requeueAfterMs: next };
  }

  private welcome(node: Stored<Node>): void {
    const { name } = node.metadata;
    if (!this.known.has(name)) this.tell(node, 'RegisteredNode', `Registered Node ${name} in Controller`);
    this.known.set(name, node);
  }

  private forget(name: string): void {
    const node = this.known.get(name);
    if (node) this.tell(node, 'RemovingNode', `Removing Node ${name} from Controller`);
    this.known.delete(name);
    this.health.forget(name);
  }

  private tell(node: Stored<Node>, reason: string, what: string): void {
    const message = `Node ${node.metadata.name} event: ${what}`;
    this.deps.recorder.record(withKind(nodes, node), { type: 'Normal', reason, message });
  }

  /** Asks the api-server itself before calling a node unreachable: maybe only our events are late. */
  private async judgeSilent(cached: Stored<Node>): Promise<Stored<Node>> {
    const { client, clock, recorder, logger } = this.deps;
    const { name } = cached.metadata;
    const [node, lease] = await Promise.all([client.get(nodes, { name }), this.getLease(name)]);
    this.health.observe(name, node, lease, clock.now());
    if (this.health.remainingMs(name, lease, clock.now()) > 0) return node;
    const conditions = unknownConditions(node, formatTime(clock.now()));
    if (conditions.length === 0) return node;
    logger.warn({ node: name }, 'node is unreachable');
    const { uid, resourceVersion } = node.metadata;
    const marked = await client.patch(
      nodes,
      { name },
      { type: 'strategic', body: { metadata: { uid, resourceVersion }, status: { conditions } } },
      { subresource: 'status' },
    );
    recorder.record(withKind(nodes, marked), {
      type: 'Normal',
      reason: 'NodeNotReady',
      message: `Node ${name} status is now: NodeNotReady`,
    });
    return marked;
  }

  private async getLease(name: string): Promise<Stored<Lease> | undefined> {
    try {
      return await this.deps.client.get(leases, { namespace: leaseNamespace, name });
    } catch (error) {
      if (isReason(error, 'NotFound')) return undefined;
      throw error;
    }
  }

  /** Brings the taints up to date; answers after how long to look again. */
  private async taint(node: Stored<Node>): Promise<number> {
    const { client, clock } = this.deps;
    const { name, resourceVersion } = node.metadata;
    const { evict, waitMs } = this.mayEvict(node);
    const taints = desiredTaints(node, evict, clock.now());
    if (taints)
      await client.patch(nodes, { name }, { type: 'merge', body: { metadata: { resourceVersion }, spec: { taints } } });
    return waitMs;
  }

  private mayEvict(node: Stored<Node>): { evict: boolean | 'never'; waitMs: number } {
    const wanted = wantedNoExecute(node);
    if (!wanted) return { evict: false, waitMs: Infinity };
    const { clock, config } = this.deps;
    const zones = this.countZones();
    const disrupted = [...zones.values()].every(
      ({ ready, notReady }) => zoneState(ready, notReady, config.unhealthyZoneThreshold) === 'FullDisruption',
    );
    // Taints that are there already are taken away again: when the nodes come back their pods shall be there.
    if (disrupted) return { evict: 'never', waitMs: probeMs };
    if (node.spec?.taints?.some(({ key, effect }) => key === wanted && effect === 'NoExecute'))
      return { evict: true, waitMs: Infinity };
    const zone = zoneOf(node);
    const { ready, notReady } = zones.get(zone) ?? { ready: 0, notReady: 1 };
    const state = zoneState(ready, notReady, config.unhealthyZoneThreshold);
    const rate = evictionRate(state, ready + notReady, false, config);
    let budget = this.budgets.get(zone);
    if (!budget) this.budgets.set(zone, (budget = new EvictionBudget()));
    const waitMs = budget.take(rate, clock.now());
    return waitMs === 0 ? { evict: true, waitMs: Infinity } : { evict: false, waitMs: Math.min(waitMs, maxWaitMs) };
  }

  /** A node that has been silent for half its time counts as lost: of nodes that fail together one is noticed first. */
  private countZones(): Map<string, { ready: number; notReady: number }> {
    const { informers, clock } = this.deps;
    const zones = new Map<string, { ready: number; notReady: number }>();
    for (const node of informers.lister(nodes).list()) {
      const zone = zoneOf(node);
      const counts = zones.get(zone) ?? { ready: 0, notReady: 0 };
      const { name } = node.metadata;
      const lease = informers.lister(leases).get({ namespace: leaseNamespace, name });
      const suspect = this.health.isSuspect(name, lease, clock.now());
      counts[readyStatus(node) === 'True' && !suspect ? 'ready' : 'notReady']++;
      zones.set(zone, counts);
    }
    return zones;
  }

  /** Services stop sending to the node's pods at once, long before the pods are evicted. */
  private async markPodsNotReady(nodeName: string): Promise<void> {
    const { client, clock, informers } = this.deps;
    const ready = informers.lister(pods).byIndex('node', nodeName).filter(isPodReady);
    const results = await Promise.allSettled(
      ready.map(async pod => {
        const { namespace, name, uid, resourceVersion } = pod.metadata;
        const condition = {
          ...podCondition(pod, 'Ready'),
          status: 'False',
          lastTransitionTime: formatTime(clock.now()),
        };
        const body = { metadata: { uid, resourceVersion }, status: { conditions: [condition] } };
        await client.patch(pods, { namespace, name }, { type: 'strategic', body }, { subresource: 'status' });
      }),
    );
    const failed = results.find(
      (result): result is PromiseRejectedResult => result.status === 'rejected' && !isReason(result.reason, 'NotFound'),
    );
    if (failed) throw failed.reason;
  }

  private async watchForOutages(): Promise<void> {
    const { client, clock, signal } = this.deps;
    while (!signal.aborted) {
      try {
        await clock.sleep(probeMs, signal);
        await client.get(leases, { namespace: leaseNamespace, name: 'naru-reachability-probe' }, signal);
      } catch (error) {
        if (!isReason(error, 'NotFound', 'Forbidden')) this.health.noteOutage(clock.now());
      }
    }
  }
}

/** Tells unreachable nodes by their silence, taints what is not ready, and thereby has its pods replaced elsewhere. */
export const nodeLifecycleController: Controller = {
  name: 'node-lifecycle-controller',
  eventSource: 'node-controller',
  concurrency: 8,
  watches: () => [
    watch(nodes, ({ metadata }) => [metadata.name]),
    watch(leases, ({ metadata }) => (metadata.namespace === leaseNamespace ? [metadata.name] : [])),
    // A pod may be bound, or tell that it is ready, after its node was lost.
    watch(pods, ({ spec }) => (spec?.nodeName ? [spec.nodeName] : []), {
      relevant: (pod, old) => isPodReady(pod) && !isPodReady(old),
    }),
  ],
  build(deps) {
    const lifecycle = new NodeLifecycle(deps);
    return { reconcile: name => lifecycle.reconcile(name) };
  },
};
