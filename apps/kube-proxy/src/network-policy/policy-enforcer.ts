import { namespaces, networkPolicies, pods, type Namespace, type NetworkPolicy, type Pod } from '@naru/api';
import type { InformerFactory } from '@naru/client';
import type { Clock, Logger } from '@naru/foundation';
import type { CommandRunner } from '../command';
import { SyncLoop } from '../sync-loop';
import type { PolicyMetrics } from './metrics';
import { withoutUnused } from './policy-pod';
import { PolicyState } from './policy-state';
import { renderDifferences, renderRemoval, renderWhole, type RuleSet } from '../nft/rule-set';
import { policySkeleton, tableName } from './policy-table';
import { SandboxAddresses } from './sandbox-addresses';

export interface PolicyEnforcerDeps {
  nodeName: string;
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
 * NetworkPolicies to rules for this node's pods, in a table of their own that is the same whatever the mode of Services. All pods
 * are followed only once there is a first policy: a cluster without any pays nothing.
 */
export class PolicyEnforcer {
  private readonly state: PolicyState;
  private readonly loop: SyncLoop;
  private readonly stopping = new AbortController();
  private applied: RuleSet | undefined;
  private podCidr: string | undefined;
  private appliedCidr: string | undefined;
  /** Undefined until a first policy; resolves when all is known that policies speak of. */
  private following: Promise<void> | undefined;
  private complete = false;
  private started = false;

  constructor(private readonly deps: PolicyEnforcerDeps) {
    const { nodeName, informers, clock, logger } = deps;
    this.state = new PolicyState({ nodeName });
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
        this.state.deletePolicy(policy);
        this.changed();
      },
    });
  }

  /** The range of this node's pods, once it has one. */
  setPodCidr(podCidr: string | undefined): void {
    if (podCidr === this.podCidr) return;
    this.podCidr = podCidr;
    this.changed();
  }

  /** The informers have their first lists. */
  start(): void {
    this.started = true;
    if (this.state.hasPolicies) this.follow();
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
      this.state.setPolicy(policy);
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
      onAdd: namespace => this.after(() => this.state.setNamespace(namespace)),
      onUpdate: namespace => this.after(() => this.state.setNamespace(namespace)),
      onDelete: namespace => this.after(() => this.state.deleteNamespace(namespace)),
    });
    allPods.addHandler({
      onAdd: pod => this.after(() => this.state.setPod(pod)),
      onUpdate: pod => this.after(() => this.state.setPod(pod)),
      onDelete: pod => this.after(() => this.state.deletePod(pod)),
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
      onSandbox: (uid, ips) => this.after(() => this.state.setSandbox(uid, ips)),
      onList: sandboxes =>
        this.after(() => {
          for (const uid of this.state.sandboxUids) if (!sandboxes.has(uid)) this.state.forgetSandbox(uid);
          for (const [uid, ips] of sandboxes) this.state.setSandbox(uid, ips);
        }),
    });
    return new Promise(resolve => void addresses.run(signal, resolve));
  }

  private after(change: () => void): void {
    change();
    this.changed();
  }

  private changed(): void {
    if (this.complete) this.loop.trigger();
  }

  private async sync(full: boolean): Promise<void> {
    const { run, metrics, clock, logger } = this.deps;
    const startedAt = clock.now();
    const wanted = this.state.ruleSet();
    const { podCidr } = this;
    if (!full && !wanted && !this.applied) return;
    const skeleton = policySkeleton(podCidr);
    const text = !wanted
      ? renderRemoval(tableName)
      : full || !this.applied || podCidr !== this.appliedCidr
        ? renderWhole(skeleton, wanted)
        : renderDifferences(skeleton, this.applied, wanted);
    if (text === '') return;
    await run('nft', ['-f', '-'], text);
    this.applied = wanted;
    this.appliedCidr = podCidr;
    const durationMs = clock.now() - startedAt;
    metrics.syncDuration.observe(durationMs / 1000);
    logger.debug({ full, durationMs }, 'network policies synced');
  }
}

/** Removes the table, also one that an earlier process has left. */
export async function cleanupPolicies(run: CommandRunner): Promise<void> {
  await run('nft', ['-f', '-'], renderRemoval(tableName));
}
