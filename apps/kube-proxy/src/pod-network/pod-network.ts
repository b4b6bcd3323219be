import path from 'node:path';
import type { Node } from '@naru/api';
import type { Clock, Logger } from '@naru/foundation';
import type { CommandRunner } from '../command';
import type { ModeName } from '../modes/mode';
import { SyncLoop } from '../sync-loop';
import { findUplink, type Batch, type PodNetworkBackend } from './backend';
import { removeConflist, writeConflist } from './conflist';
import { hostGateway } from './host-gw';
import { createMasquerade, type Masquerade } from './masquerade';
import { peerOf, podCidrOf, samePeer, type Peer } from './peer';
import { vxlan } from './vxlan';

export type BackendName = PodNetworkBackend['name'];

export interface PodNetworkConfig {
  backend: BackendName;
  /** Which kind of rules masquerades. */
  mode: ModeName;
  nodeName: string;
  nodeIp: string;
  clusterCidr: string;
  cniConfDir: string;
  cniStateDir: string;
  vxlan: { id: number; port: number };
}

export interface PodNetworkDeps {
  config: PodNetworkConfig;
  run: CommandRunner;
  clock: Clock;
  logger: Logger;
  fullSyncPeriodMs: number;
}

/** The registry of backends. */
const backends = { vxlan, 'host-gw': hostGateway };

/**
 * Makes this node's pods reachable and the other nodes' pods reachable from here, from what Nodes say. Its first act, as
 * soon as this Node has a range, is to write the CNI configuration: until then the node cannot be Ready.
 */
export class PodNetwork {
  private readonly backend: PodNetworkBackend;
  private readonly masquerade: Masquerade;
  private readonly loop: SyncLoop;
  private readonly wanted = new Map<string, Peer>();
  private readonly applied = new Map<string, Peer>();
  private podCidr: string | undefined;
  private prepared: string | undefined;
  private complete = false;

  constructor(private readonly deps: PodNetworkDeps) {
    const { config, run, clock, logger, fullSyncPeriodMs } = deps;
    this.backend = backends[config.backend]({ run, nodeIp: config.nodeIp, vxlan: config.vxlan });
    this.masquerade = createMasquerade(config.mode, run, config.clusterCidr);
    this.loop = new SyncLoop({
      name: 'pod-network',
      sync: full => this.sync(full),
      clock,
      logger,
      minPeriodMs: 10,
      fullPeriodMs: fullSyncPeriodMs,
    });
  }

  setNode(node: Node): void {
    const name = node.metadata?.name ?? '';
    if (name === this.deps.config.nodeName) {
      const podCidr = podCidrOf(node) ?? this.podCidr;
      if (podCidr === this.podCidr) return;
      this.podCidr = podCidr;
    } else {
      const peer = peerOf(node);
      const known = this.wanted.get(name);
      if (peer ? known && samePeer(peer, known) : !known) return;
      if (peer) this.wanted.set(name, peer);
      else this.wanted.delete(name);
    }
    if (this.complete) this.loop.trigger();
  }

  deleteNode(node: Node): void {
    if (this.wanted.delete(node.metadata?.name ?? '') && this.complete) this.loop.trigger();
  }

  /** All Nodes are known: what the kernel has beyond them may go. */
  start(): void {
    this.complete = true;
    this.loop.triggerFull();
  }

  stop(): Promise<void> {
    return this.loop.stop();
  }

  /** Throws, for /readyz, until pods can be given addresses. */
  checkReady(): void {
    if (this.prepared === undefined) throw new Error(`the Node ${this.deps.config.nodeName} has no podCIDR yet`);
  }

  async cleanup(): Promise<void> {
    await removeConflist(this.deps.config.cniConfDir);
    await this.masquerade.cleanup();
    await this.backend.cleanup();
  }

  private async sync(full: boolean): Promise<void> {
    const { podCidr } = this;
    if (podCidr === undefined) {
      this.deps.logger.info({ node: this.deps.config.nodeName }, 'waiting for the podCIDR of this node');
      // What a full sync has to do is still to be done once there is a range.
      this.applied.clear();
      return;
    }
    // Nodes may come and go while commands run: what this round did is judged by what it set out to do.
    const wanted = new Map(this.wanted);
    const first = this.prepared !== podCidr;
    if (full || first) await this.prepare(podCidr);
    const batch: Batch = { ip: [], bridge: [] };
    const extend = ({ ip, bridge }: Batch): void => {
      batch.ip.push(...ip);
      batch.bridge.push(...bridge);
    };
    if (full || first) {
      for (const left of await this.findStale(wanted)) extend(this.backend.remove(left));
      this.applied.clear();
    }
    for (const [name, peer] of this.applied) {
      const now = wanted.get(name);
      if (!now || !samePeer(now, peer)) extend(this.backend.remove(peer));
    }
    const additions = [...wanted.values()].filter(peer => {
      const before = this.applied.get(peer.name);
      return !before || !samePeer(before, peer);
    });
    // After all removals: a range may move from one node to another.
    for (const peer of additions) extend(this.backend.add(peer));
    await this.apply(batch);
    this.applied.clear();
    for (const [name, peer] of wanted) this.applied.set(name, peer);
  }

  private async prepare(podCidr: string): Promise<void> {
    const { config, run, logger } = this.deps;
    const uplink = await findUplink(run, config.nodeIp);
    await Promise.all([this.backend.prepare(uplink, podCidr), this.masquerade.apply(), configureKernel(run)]);
    const mtu = uplink.mtu - this.backend.overhead;
    await writeConflist(config.cniConfDir, { podCidr, mtu, ipamDir: path.join(config.cniStateDir, 'ipam') });
    if (this.prepared !== podCidr) {
      logger.info({ podCidr, mtu, backend: this.backend.name, uplink: uplink.name }, 'pod network is ready');
    }
    this.prepared = podCidr;
  }

  private async findStale(wanted: ReadonlyMap<string, Peer>): Promise<Pick<Peer, 'nodeIp' | 'podCidr'>[]> {
    const peers = [...wanted.values()];
    const cidrs = new Set(peers.map(({ podCidr }) => podCidr));
    const ips = new Set(peers.map(({ nodeIp }) => nodeIp));
    const present = await this.backend.list();
    return present.filter(({ nodeIp, podCidr }) => (podCidr === '' ? !ips.has(nodeIp) : !cidrs.has(podCidr)));
  }

  private async apply({ ip, bridge }: Batch): Promise<void> {
    const { run } = this.deps;
    if (ip.length > 0) await run('ip', ['-4', '-batch', '-'], `${ip.join('\n')}\n`);
    if (bridge.length > 0) await run('bridge', ['-batch', '-'], `${bridge.join('\n')}\n`);
  }
}

const conf = '/proc/sys/net/ipv4';

/**
 * Makes this network namespace forward packets, without telling pods of shorter ways: a pod that reaches itself through a
 * Service comes in and goes out on one link, and the redirects for it use up what the kernel lets out of other ICMP.
 * In a container the files may be read-only; forwarding must then be set from outside.
 */
async function configureKernel(run: CommandRunner): Promise<void> {
  const script = `for f in all default; do echo 0 > ${conf}/conf/$f/send_redirects; done 2>/dev/null
[ "$(cat ${conf}/ip_forward)" = 1 ] || echo 1 > ${conf}/ip_forward`;
  await run('sh', ['-c', script]);
}
