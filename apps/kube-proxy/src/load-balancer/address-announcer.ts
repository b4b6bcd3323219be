import type { Node } from '@naru/api';
import type { AddressRanges, Clock, Logger } from '@naru/foundation';
import type { CommandRunner } from '../command';
import type { DesiredState } from '../desired/desired-state';
import { ipFamilies, isIpv6, type IpFamily } from '../desired/ip-family';
import { holdExactly, readHeld, releaseLine } from '../held-addresses';
import { findUplink } from '../pod-network/backend';
import { SyncLoop } from '../sync-loop';
import { chooseHolder, isEligible } from './choose-holder';

export interface AddressAnnouncerDeps {
  nodeName: string;
  nodeIp: string;
  /** The pool: addresses of other load balancers are theirs to announce. */
  pool: Pick<AddressRanges, 'contains'>;
  run: CommandRunner;
  clock: Clock;
  logger: Logger;
  fullSyncPeriodMs: number;
}

/**
 * Holds the addresses of load balancers that are this node's to answer for, on the interface of the node's own address: the kernel then
 * answers who asks for them (ARP, and NDP for IPv6), as MetalLB does in its layer 2 mode. What arrives is the Service rules' business.
 */
export class AddressAnnouncer {
  private readonly loop: SyncLoop;
  private readonly eligible = new Set<string>();
  private desired: readonly DesiredState[] | undefined;

  constructor(private readonly deps: AddressAnnouncerDeps) {
    const { clock, logger, fullSyncPeriodMs } = deps;
    this.loop = new SyncLoop({
      name: 'load-balancers',
      sync: () => this.sync(),
      clock,
      logger,
      minPeriodMs: 20,
      fullPeriodMs: fullSyncPeriodMs,
    });
  }

  setNode(node: Node): void {
    const name = node.metadata?.name ?? '';
    if (isEligible(node) === this.eligible.has(name)) return;
    if (isEligible(node)) this.eligible.add(name);
    else this.eligible.delete(name);
    if (this.desired) this.loop.trigger();
  }

  deleteNode(node: Node): void {
    if (this.eligible.delete(node.metadata?.name ?? '') && this.desired) this.loop.trigger();
  }

  /** The rules say this now: addresses that they answer for may be announced. */
  follow(desired: readonly DesiredState[]): void {
    this.desired = desired;
    this.loop.trigger();
  }

  /** The addresses stay: a restart is to go unnoticed. */
  stop(): Promise<void> {
    return this.loop.stop();
  }

  private async sync(): Promise<void> {
    const { nodeName, pool } = this.deps;
    const wanted = new Set<string>();
    for (const { address, nodes } of this.desired?.flatMap(state => [...state.loadBalancers()]) ?? []) {
      if (!pool.contains(address)) continue;
      const candidates = [...this.eligible].filter(node => !nodes || nodes.has(node));
      if (chooseHolder(address, candidates) === nodeName) wanted.add(address);
    }
    await this.apply(wanted);
  }

  private async apply(wanted: ReadonlySet<string>): Promise<void> {
    const { run, nodeIp, logger } = this.deps;
    const { name: link } = await findUplink(run, nodeIp);
    for (const family of ipFamilies) {
      const ofFamily = new Set([...wanted].filter(address => isIpv6(address) === (family === 'IPv6')));
      const { coming, going } = await holdExactly(run, ofFamily, { link, family });
      if (coming.length > 0) await announce(run, family, link);
      if (coming.length + going.length > 0) logger.info({ coming, going }, 'addresses of load balancers have moved');
    }
  }
}

/** Removes the addresses of every interface that an earlier process has left. */
export async function removeAnnounced(run: CommandRunner): Promise<void> {
  for (const family of ipFamilies) {
    const lines = (await readHeld(run, family)).map(releaseLine);
    if (lines.length > 0) await run('ip', ['-batch', '-'], `${lines.join('\n')}\n`);
  }
}

/** The setting by which the kernel tells of a link's addresses. */
const notify: Readonly<Record<IpFamily, string>> = {
  IPv4: 'ipv4/conf/LINK/arp_notify',
  IPv6: 'ipv6/conf/LINK/ndisc_notify',
};

/**
 * Tells the network that the interface's addresses are here now, so that nobody goes on sending to who held them before. With its setting on
 * the kernel does so (by ARP, or by neighbour advertisements) when the link address is set, though it is the same.
 */
async function announce(run: CommandRunner, family: IpFamily, link: string): Promise<void> {
  const script = `echo 1 > /proc/sys/net/${notify[family].replace('LINK', link)}
ip link set dev ${link} address "$(cat /sys/class/net/${link}/address)"`;
  await run('sh', ['-e', '-c', script]);
}
