import path from 'node:path';
import type { Node } from '@naru/api';
import type { Clock, Logger } from '@naru/foundation';
import type { CommandRunner } from '../command';
import type { ModeName } from '../modes/mode';
import { SyncLoop } from '../sync-loop';
import { emptyBatch, families, findUplink, type Batch, type PodNetworkBackend, type Uplink } from './backend';
import { removeConflist, writeConflist } from './conflist';
import { hostGateway } from './host-gw';
import { createMasquerade, type Masquerade } from './masquerade';
import { ofFamily, peerOf, podCidrsOf, samePeer, type Peer, type PeerTraces } from './peer';
import { vxlan } from './vxlan';

export type BackendName = PodNetworkBackend['name'];

export interface PodNetworkConfig {
  backend: BackendName;
  /** Which kind of rules masquerades. */
  mode: ModeName;
  nodeName: string;
  /** One, or one of each family; others reach this node by the first. */
  nodeIps: readonly string[];
  /** All pods' addresses: one range, or one of each family. */
  clusterCidrs: readonly string[];
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
  private podCidrs: readonly string[] = [];
  private prepared: readonly string[] = [];
  private complete = false;

  constructor(private readonly deps: PodNetworkDeps) {
    const { config, run, clock, logger, fullSyncPeriodMs } = deps;
    this.backend = backends[config.backend]({ run, nodeIps: config.nodeIps, vxlan: config.vxlan });
    this.masquerade = createMasquerade(config.mode, run, config.clusterCidrs);
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
      const podCidrs = podCidrsOf(node);
      if (podCidrs.length === 0 || podCidrs.join() === this.podCidrs.join()) return;
      this.podCidrs = podCidrs;
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
    if (this.prepared.length === 0) throw new Error(`the Node ${this.deps.config.nodeName} has no podCIDR yet`);
  }

  async cleanup(): Promise<void> {
    await removeConflist(this.deps.config.cniConfDir);
    await this.masquerade.cleanup();
    await this.backend.cleanup();
  }

  private async sync(full: boolean): Promise<void> {
    const { podCidrs } = this;
    if (podCidrs.length === 0) {
      this.deps.logger.info({ node: this.deps.config.nodeName }, 'waiting for the podCIDR of this node');
      // What a full sync has to do is still to be done once there is a range.
      this.applied.clear();
      return;
    }
    // Nodes may come and go while commands run: what this round did is judged by what it set out to do.
    const wanted = new Map(this.wanted);
    const first = this.prepared !== podCidrs;
    if (full || first) await this.prepare(podCidrs);
    const batch = emptyBatch();
    const extend = ({ ip, bridge }: Batch): void => {
      for (const family of families) batch.ip[family].push(...ip[family]);
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

  private async prepare(podCidrs: readonly string[]): Promise<void> {
    const { config, run, logger } = this.deps;
    const uplink = await findUplink(run, config.nodeIps[0] ?? '');
    await Promise.all([this.backend.prepare(uplink, podCidrs), this.masquerade.apply(), this.configureKernel(uplink)]);
    const mtu = uplink.mtu - this.backend.overhead;
    await writeConflist(config.cniConfDir, { podCidrs, mtu, ipamDir: path.join(config.cniStateDir, 'ipam') });
    if (this.prepared !== podCidrs) {
      logger.info({ podCidrs, mtu, backend: this.backend.name, uplink: uplink.name }, 'pod network is ready');
    }
    this.prepared = podCidrs;
  }

  private async configureKernel(uplink: Uplink): Promise<void> {
    const { run } = this.deps;
    if (ofFamily(this.podCidrs, 4)) await run('sh', ['-c', forwardIpv4]);
    if (ofFamily(this.podCidrs, 6)) await run('sh', ['-c', forwardIpv6, 'sh', uplink.name]);
  }

  private async findStale(wanted: ReadonlyMap<string, Peer>): Promise<PeerTraces[]> {
    const peers = [...wanted.values()];
    const known = new Set(peers.flatMap(({ podCidrs, nodeIps }) => [...podCidrs, ...nodeIps]));
    const present = await this.backend.list();
    return present.filter(({ nodeIps, podCidrs }) => ![...podCidrs, ...nodeIps].every(text => known.has(text)));
  }

  private async apply({ ip, bridge }: Batch): Promise<void> {
    const { run } = this.deps;
    for (const family of families)
      if (ip[family].length > 0) await run('ip', [`-${family}`, '-batch', '-'], `${ip[family].join('\n')}\n`);
    if (bridge.length > 0) await run('bridge', ['-batch', '-'], `${bridge.join('\n')}\n`);
  }
}

const ipv4 = '/proc/sys/net/ipv4';
const ipv6 = '/proc/sys/net/ipv6/conf';

/**
 * Makes this network namespace forward packets, without telling pods of shorter ways: a pod that reaches itself through a
 * Service comes in and goes out on one link, and the redirects for it use up what the kernel lets out of other ICMP.
 * In a container the files may be read-only; forwarding must then be set from outside.
 */
const forwardIpv4 = `for f in all default; do echo 0 > ${ipv4}/conf/$f/send_redirects; done 2>/dev/null
[ "$(cat ${ipv4}/ip_forward)" = 1 ] || echo 1 > ${ipv4}/ip_forward`;

/**
 * The same of IPv6. A router hears no advertisements unless told to, and the uplink may have its default route from them.
 * The node's end of a pod's link has an address that all such links have: waiting for somebody to object to it would
 * keep each pod from its first packets for a second or two.
 */
const forwardIpv6 = `[ "$(cat ${ipv6}/$1/accept_ra)" != 1 ] || echo 2 > ${ipv6}/$1/accept_ra
[ "$(cat ${ipv6}/default/accept_dad)" = 0 ] || echo 0 > ${ipv6}/default/accept_dad
[ "$(cat ${ipv6}/all/forwarding)" = 1 ] || echo 1 > ${ipv6}/all/forwarding`;
