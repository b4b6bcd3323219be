import type { Node } from '@naru/api';
import type { AddressRanges, Clock, Logger } from '@naru/foundation';
import type { CommandRunner } from '../command';
import type { DesiredState } from '../desired/desired-state';
import { findUplink, parseJson } from '../pod-network/backend';
import { SyncLoop } from '../sync-loop';
import { chooseHolder, isEligible } from './choose-holder';

export interface AddressAnnouncerDeps {
  nodeName: string;
  nodeIp: string;
  /** The pool: addresses of other load balancers are theirs to announce. */
  pool: AddressRanges;
  run: CommandRunner;
  clock: Clock;
  logger: Logger;
  fullSyncPeriodMs: number;
}

interface LinkJson {
  ifname?: string;
  addr_info?: { local?: string; label?: string }[];
}

/**
 * Holds the addresses of load balancers that are this node's to answer for, on the interface of the node's own address: the kernel then
 * answers who asks for them (ARP), as MetalLB does in its layer 2 mode. What arrives is the Service rules' business.
 */
export class AddressAnnouncer {
  private readonly loop: SyncLoop;
  private readonly eligible = new Set<string>();
  private desired: DesiredState | undefined;

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
  follow(desired: DesiredState): void {
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
    for (const { address, nodes } of this.desired?.loadBalancers() ?? []) {
      if (!pool.contains(address)) continue;
      const candidates = [...this.eligible].filter(node => !nodes || nodes.has(node));
      if (chooseHolder(address, candidates) === nodeName) wanted.add(address);
    }
    await this.apply(wanted);
  }

  private async apply(wanted: ReadonlySet<string>): Promise<void> {
    const { run, nodeIp, logger } = this.deps;
    const { name } = await findUplink(run, nodeIp);
    // By its label an address is known as ours.
    const label = `${name}:naru`;
    const links = parseJson<LinkJson>(await run('ip', ['-json', '-4', 'addr', 'show', 'dev', name]));
    const held = new Set(
      links.flatMap(({ addr_info: list = [] }) =>
        list.flatMap(({ local, label: its }) => (its === label && local !== undefined ? [local] : [])),
      ),
    );
    const coming = [...wanted].filter(address => !held.has(address));
    const going = [...held].filter(address => !wanted.has(address));
    if (coming.length + going.length === 0) return;
    const lines = [
      ...coming.map(address => `addr add ${address}/32 dev ${name} label ${label}`),
      ...going.map(address => `addr del ${address}/32 dev ${name}`),
    ];
    await run('ip', ['-batch', '-'], `${lines.join('\n')}\n`);
    if (coming.length > 0) await announce(run, name);
    logger.info({ coming, going }, 'addresses of load balancers have moved');
  }
}

/** Removes the addresses of every interface that an earlier process has left. */
export async function removeAnnounced(run: CommandRunner): Promise<void> {
  const lines = parseJson<LinkJson>(await run('ip', ['-json', '-4', 'addr', 'show'])).flatMap(
    ({ ifname = '', addr_info: list = [] }) =>
      list.flatMap(({ local, label }) => (label === `${ifname}:naru` ? [`addr del ${local}/32 dev ${ifname}`] : [])),
  );
  if (lines.length > 0) await run('ip', ['-batch', '-'], `${lines.join('\n')}\n`);
}

/**
 * Tells the network that the interface's addresses are here now, so that nobody goes on sending to who held them before. With arp_notify the
 * kernel does so when the link address is set, though it is the same.
 */
async function announce(run: CommandRunner, name: string): Promise<void> {
  const script = `echo 1 > /proc/sys/net/ipv4/conf/${name}/arp_notify
ip link set dev ${name} address "$(cat /sys/class/net/${name}/address)"`;
  await run('sh', ['-e', '-c', script]);
}
