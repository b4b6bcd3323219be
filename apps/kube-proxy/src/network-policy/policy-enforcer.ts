import { namespaces, networkPolicies, pods, type Namespace, type NetworkPolicy, type Pod } from '@naru/api';
import type { InformerFactory } from '@naru/client';
import type { Clock, Logger } from '@naru/foundation';
import type { CommandRunner } from '../command';
import { SyncLoop } from '../sync-loop';
import type { PolicyMetrics } from './metrics';
import { withoutUnused } from './policy-pod';
import { ipFamilies, type IpFamily } from '../desired/ip-family';
import { renderRemoval } from '../nft/rule-set';
import { FamilyPolicies } from './family-policies';
import type { PolicyState } from './policy-state';
import { policyTable, type OwnNetwork } from './policy-table';
import { SandboxAddresses } from './sandbox-addresses';

export interface PolicyEnforcerDeps {
  nodeName: string;
  /** Those that this machine has. */
  families: readonly IpFamily[];
  /** Undefined where another program links pods and nodes. */
  network: OwnNetwork | undefined;
  /** Empty: addresses are known when the API tells of them, and a pod's first packets may be lost until then. */
  runtimeEndpoint: string;
  run: CommandRunner;
  informers: InformerFactory;
  metrics: PolicyMetrics;
  clock: Clock;
  logger: Logger;
  minSyncPeriodMs: number;
  fullSyncPeriodMs: number;
}

/**
 * NetworkPolicies to rules for this node's pods, in a table a family that is the same whatever the mode of Services. All pods
 * are followed only once there is a first policy: a cluster without any pays nothing.
 */
export class PolicyEnforcer {
  private readonly families: readonly FamilyPolicies[];
  private readonly loop: SyncLoop;
  private readonly stopping = new AbortController();
  /** Undefined until a first policy; resolves when all is known that policies speak of. */
  private following: Promise<void> | undefined;
  private complete = false;
  private started = false;

  constructor(private readonly deps: PolicyEnforcerDeps) {
    const { nodeName, informers, clock, logger, network } = deps;
    this.families = deps.families.map(family => new FamilyPolicies({ nodeName, family, network }));
    this.loop = new SyncLoop({
      name: 'network-policies',
      sync: full => this.sync(full),
      clock,
      logger,
      minPeriodMs: deps.minSyncPeriodMs,
      fullPeriodMs: deps.fullSyncPeriodMs,
    });
    informers.informer<NetworkPolicy>({ type: networkPolicies }).addHandler({
      onAdd: policy => this.setPolicy(policy),
      onUpdate: policy => this.setPolicy(policy),
      onDelete: policy => {
        this.change(state => state.deletePolicy(policy));
      },
    });
  }

  /** The range of this node's pods in a family, once it has one. */
  setPodCidr(family: IpFamily, podCidr: string | undefined): void {
    const policies = this.families.find(each => each.family === family);
    if (!policies || podCidr === policies.podCidr) return;
    policies.podCidr = podCidr;
    this.changed();
  }

  /** The informers have their first lists. */
  start(): void {
    this.started = true;
    if (this.families.some(({ state }) => state.hasPolicies)) this.follow();
    // Without policies: what an earlier process has left is removed.
    else this.loop.triggerFull();
  }

  async stop(): Promise<void> {
    this.stopping.abort();
    await this.loop.stop();
  }

  private setPolicy(policy: Parameters<PolicyState['setPolicy']>[0]): void {
    const { namespace, name } = policy.metadata;
    try {
      for (const { state } of this.families) state.setPolicy(policy);
    } catch (err) {
      this.deps.logger.error({ err, namespace, name }, 'the NetworkPolicy cannot be understood');
      return;
    }
    if (this.started) this.follow();
    this.changed();
  }

  private follow(): void {
    this.following ??= this.followAll().catch((err: unknown) => {
      this.following = undefined;
      if (!this.stopping.signal.aborted) this.deps.logger.error({ err }, 'cannot follow the pods of NetworkPolicies');
    });
  }

  private async followAll(): Promise<void> {
    const { informers } = this.deps;
    const { signal } = this.stopping;
    const allNamespaces = informers.informer<Namespace>({ type: namespaces });
    const allPods = informers.informer<Pod>({ type: pods, transform: withoutUnused });
    allNamespaces.addHandler({
      onAdd: namespace => this.change(state => state.setNamespace(namespace)),
      onUpdate: namespace => this.change(state => state.setNamespace(namespace)),
      onDelete: namespace => this.change(state => state.deleteNamespace(namespace)),
    });
    allPods.addHandler({
      onAdd: pod => this.change(state => state.setPod(pod)),
      onUpdate: pod => this.change(state => state.setPod(pod)),
      onDelete: pod => this.change(state => state.deletePod(pod)),
    });
    await allNamespaces.start(signal);
    await Promise.all([allPods.start(signal), this.followSandboxes(signal)]);
    this.complete = true;
    this.loop.triggerFull();
  }

  private followSandboxes(signal: AbortSignal): Promise<void> {
    const { runtimeEndpoint: endpoint, clock, logger } = this.deps;
    if (endpoint === '') return Promise.resolve();
    const addresses = new SandboxAddresses({
      endpoint,
      clock,
      logger,
      onSandbox: (uid, ips) => this.change(state => state.setSandbox(uid, ips)),
      onList: sandboxes =>
        this.change(state => {
          for (const uid of state.sandboxUids) if (!sandboxes.has(uid)) state.forgetSandbox(uid);
          for (const [uid, ips] of sandboxes) state.setSandbox(uid, ips);
        }),
    });
    return new Promise(resolve => void addresses.run(signal, resolve));
  }

  private change(tell: (state: PolicyState) => void): void {
    for (const { state } of this.families) tell(state);
    this.changed();
  }

  private changed(): void {
    if (this.complete) this.loop.trigger();
  }

  private async sync(full: boolean): Promise<void> {
    const { run, metrics, clock, logger } = this.deps;
    const startedAt = clock.now();
    const steps = this.families.map(family => family.render(full));
    const text = steps.map(step => step.text).join('');
    if (text === '') return;
    // One transaction: a pod is never open by one family and shut by the other.
    await run('nft', ['-f', '-'], text);
    for (const { commit } of steps) commit();
    const durationMs = clock.now() - startedAt;
    metrics.syncDuration.observe(durationMs / 1000);
    logger.debug({ full, durationMs }, 'network policies synced');
  }
}

/** Removes the tables, also those that an earlier process has left. */
export async function cleanupPolicies(run: CommandRunner): Promise<void> {
  await run('nft', ['-f', '-'], ipFamilies.map(family => renderRemoval(policyTable(family))).join(''));
}
