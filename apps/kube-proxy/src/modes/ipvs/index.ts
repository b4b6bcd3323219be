import { outsideIps, type ServicePort } from '../../desired/service-port';
import type { CommandRunner } from '../../command';
import { hostRange, isIpv6, type IpFamily } from '../../desired/ip-family';
import { iptablesRestore } from '../iptables/programs';
import type { ModeDeps, ProxyMode, RuleSync, Update } from '../mode';
import { ensureJumps, removeJumps } from '../iptables/jumps';
import {
  balancedSet,
  entriesOf,
  jumps,
  kernelNames,
  noEntries,
  renderRuleRemoval,
  renderRules,
  renderSetChanges,
  renderSets,
  type SetEntries,
} from './filter';
import { addressesOfDevice, device, nodeIpsOf, ofFamily, readLinks, setUpKernel } from './kernel';
import { probeIpvs } from './probe';
import {
  LeavingReals,
  nameOf,
  parseIdle,
  parseSaved,
  renderChanges,
  virtualServersOf,
  type VirtualServer,
} from './virtual-server';

/** The kernel's own load balancer; as upstream's, with iptables and ipset for what it does not do. */
export const ipvs: ProxyMode = {
  name: 'ipvs',
  probe: probeIpvs,
  build: deps => new IpvsRuleSync(deps),
};

/** What the kernel should say, or was last made to. */
export interface IpvsState {
  addresses: ReadonlySet<string>;
  servers: ReadonlyMap<string, VirtualServer>;
  sets: SetEntries;
}

class IpvsRuleSync implements RuleSync {
  private readonly ports = new Map<string, ServicePort>();
  private applied: IpvsState | undefined;
  private nodeIps: readonly string[] = [];
  private readonly leaving = new LeavingReals();

  constructor(private readonly deps: ModeDeps) {}

  async sync(update: Update): Promise<void> {
    this.take(update);
    const { run, config } = this.deps;
    const known = this.applied?.servers;
    if (update.full) this.applied = undefined;
    const before = this.applied ?? (await this.readKernel(known));
    const after = renderState(this.ports.values(), this.nodeIps, config.ipvsScheduler);
    const coming = [...after.addresses].filter(address => !before.addresses.has(address));
    const going = [...before.addresses].filter(address => !after.addresses.has(address));
    // New addresses first, or IPVS would not see their packets; old ones last, or their clients would wait for nobody.
    await this.changeAddresses('replace', coming);
    const lines = renderChanges(before.servers, after.servers, this.leaving);
    if (lines.length > 0) await run('ipvsadm', ['--restore'], `${lines.join('\n')}\n`);
    if (this.applied) {
      const text = renderSetChanges(this.applied.sets, after.sets, config.family);
      if (text !== '') await run('ipset', ['restore'], text);
    } else await this.makeRules(after.sets);
    await this.changeAddresses('del', going);
    this.applied = after;
    await this.sweep(after);
  }

  async cleanup(): Promise<void> {
    const { run, config } = this.deps;
    const { family } = config;
    const addresses = addressesOfDevice(await readLinks(run));
    // Without our device there is nothing of ours in IPVS, which this kernel need not even have.
    const { servers } = addresses
      ? await this.readKernel(this.applied?.servers)
      : { servers: new Map<string, VirtualServer>() };
    const lines = [...servers.keys()].map(name => `-D ${name}`);
    if (lines.length > 0) await run('ipvsadm', ['--restore'], `${lines.join('\n')}\n`);
    if (await removeJumps(run, jumps, family)) await iptablesRestore(run, family, renderRuleRemoval());
    const present = new Set((await run('ipset', ['list', '-name'])).split('\n'));
    const sets = kernelNames(family).filter(name => present.has(name));
    await run('ipset', ['restore'], sets.map(name => `destroy ${name}\n`).join(''));
    const own = ofFamily(addresses ?? [], family);
    // The device is that of both families: the last takes it along.
    if (addresses?.size === own.size) await run('ip', ['link', 'delete', device]);
    else await this.changeAddresses('del', [...own]);
    this.applied = undefined;
    this.ports.clear();
  }

  private async makeRules(sets: SetEntries): Promise<void> {
    const { run, config } = this.deps;
    await run('ipset', ['restore'], renderSets(sets, config.family));
    await iptablesRestore(run, config.family, renderRules(config));
    await ensureJumps(run, jumps, config.family);
  }

  private take(update: Update): void {
    if (update.full) {
      this.ports.clear();
      for (const port of update.ports()) this.ports.set(port.name, port);
      return;
    }
    for (const { before, after } of update.changes) {
      if (before) this.ports.delete(before.name);
      if (after) this.ports.set(after.name, after);
    }
  }

  /**
   * What this process or an earlier one has made, and this node's addresses. Virtual servers of others are not in the answer: ours are
   * noted in the kernel too, and `known` are those of which this process needs no note, which others may have deleted.
   */
  private async readKernel(known: IpvsState['servers'] = new Map()): Promise<IpvsState> {
    const { run, config } = this.deps;
    const ours = await readBalanced(run, config.family);
    await setUpKernel(run);
    const links = await readLinks(run);
    const addresses = ofFamily(addressesOfDevice(links) ?? [], config.family);
    this.nodeIps = nodeIpsOf(links, config);
    const saved = parseSaved(await run('ipvsadm', ['--save', '--numeric']));
    const servers = new Map(
      [...saved].filter(([name, { address, protocol, port }]) => {
        return known.has(name) || addresses.has(address) || ours.has(`${address},${protocol}:${port}`);
      }),
    );
    return { addresses, servers, sets: noEntries() };
  }

  private async changeAddresses(verb: 'replace' | 'del', addresses: readonly string[]): Promise<void> {
    if (addresses.length === 0) return;
    const isNew = verb === 'replace';
    const lines = addresses.map(
      address => `addr ${verb} ${hostRange(address)} dev ${device}${isNew && isIpv6(address) ? ' nodad' : ''}`,
    );
    await this.deps.run('ip', ['-batch', '-'], `${lines.join('\n')}\n`);
  }

  /** Takes out the real servers that were to leave and have no connections any more. */
  private async sweep({ servers }: IpvsState): Promise<void> {
    this.leaving.keepOnly(servers);
    const { names } = this.leaving;
    if (names.size === 0) return;
    const { run } = this.deps;
    const lines = this.leaving.takeIdle(parseIdle(await listConnections(run, names)));
    if (lines.length > 0) await run('ipvsadm', ['--restore'], `${lines.join('\n')}\n`);
  }
}

/** With more than these, one listing of all takes less time than one each. */
const maxListings = 16;

/** What `ipvsadm --list --numeric` prints, at least of the virtual servers with these names. */
async function listConnections(run: CommandRunner, names: ReadonlySet<string>): Promise<string> {
  const list = 'ipvsadm --list --numeric';
  // One that others have deleted has no connections to tell of.
  const each = [...names].map(name => `${list} ${name.replace(/ (.*)/, " '$1'")} 2>/dev/null || true`);
  return run('sh', ['-c', names.size > maxListings ? list : each.join('\n')]);
}

/** Pure: the same ports make the same state. */
export function renderState(
  ports: Iterable<ServicePort>,
  nodeIps: readonly string[],
  scheduler: ModeDeps['config']['ipvsScheduler'] = 'rr',
): IpvsState {
  const list = [...ports];
  const servers = list.flatMap(port => virtualServersOf(port, scheduler, nodeIps));
  return {
    addresses: new Set(list.flatMap(port => [port.clusterIp, ...outsideIps(port)])),
    servers: new Map(servers.map(server => [nameOf(server), server])),
    sets: entriesOf(list, nodeIps),
  };
}

/** The places that an earlier process has balanced; none when it has left nothing. */
async function readBalanced(run: CommandRunner, family: IpFamily): Promise<Set<string>> {
  const text = await run('ipset', ['save', balancedSet(family)]).catch(() => '');
  return new Set(text.split('\n').flatMap(line => (line.startsWith('add ') ? [line.split(' ')[2] ?? ''] : [])));
}
