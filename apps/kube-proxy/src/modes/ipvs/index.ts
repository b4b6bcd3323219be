import type { CommandRunner } from '../../command';
import { hostRange, isIpv6, type IpFamily } from '../../desired/ip-family';
import type { PortChange, ServicePort } from '../../desired/service-port';
import { ensureJumps, removeJumps } from '../iptables/jumps';
import { iptablesRestore } from '../iptables/programs';
import type { ModeDeps, ProxyMode, RuleSync, Update } from '../mode';
import {
  balancedSet,
  jumps,
  kernelNames,
  ownAddresses,
  renderRuleRemoval,
  renderRules,
  renderSetChanges,
  renderSets,
} from './filter';
import { IpvsState, type IpvsChanges } from './ipvs-state';
import { addressesOfDevice, device, nodeIpsOf, ofFamily, readLinks, setUpKernel, type Link } from './kernel';
import { probeIpvs } from './probe';
import type { EntryChanges } from './shared-entries';
import { LeavingReals, parseIdle, parseSaved, renderChanges, type VirtualServer } from './virtual-server';

/** The kernel's own load balancer; as upstream's, with iptables and ipset for what it does not do. */
export const ipvs: ProxyMode = {
  name: 'ipvs',
  probe: probeIpvs,
  build: deps => new IpvsRuleSync(deps),
};

/** What the kernel says that is ours. */
interface Found {
  addresses: ReadonlySet<string>;
  servers: ReadonlyMap<string, VirtualServer>;
}

class IpvsRuleSync implements RuleSync {
  /** What the kernel was last made to say; undefined when nobody knows what it says. */
  private applied: IpvsState | undefined;
  /** Virtual servers of which this process needs no note in the kernel to know that they are ours. */
  private known: IpvsState['servers'] = new Map();
  private readonly leaving = new LeavingReals();

  constructor(private readonly deps: ModeDeps) {}

  async sync(update: Update): Promise<void> {
    const { applied } = this;
    // Only what has ended well is known to be in the kernel.
    this.applied = undefined;
    if (update.full) this.applied = await this.makeAll(update.ports());
    else if (applied) this.applied = await this.change(applied, update.changes);
    else throw new Error('the first rules of ipvs, and the next after a failure, must be all of them');
    await this.sweep(this.applied);
  }

  private async makeAll(ports: Iterable<ServicePort>): Promise<IpvsState> {
    const { run, config } = this.deps;
    const links = await this.setUpKernel();
    const found = await this.readKernel(links);
    const state = new IpvsState({ nodeIps: nodeIpsOf(links, config), scheduler: config.ipvsScheduler ?? 'rr' });
    for (const port of ports) state.add(port);
    this.known = state.servers;
    const { sets } = state.takeChanges();
    const wanted = state.sets[ownAddresses];
    const addresses = {
      come: sets[ownAddresses].come.filter(address => !found.addresses.has(address)),
      gone: [...found.addresses].filter(address => !wanted.has(address)),
    };
    await this.apply(addresses, { before: found.servers, after: state.servers }, async () => {
      await run('ipset', ['restore'], renderSets(state.sets, config.family));
      await iptablesRestore(run, config.family, renderRules(config));
      await ensureJumps(run, jumps, config.family);
    });
    return state;
  }

  private async change(state: IpvsState, changes: readonly PortChange[]): Promise<IpvsState> {
    for (const { before } of changes) if (before) state.remove(before);
    for (const { after } of changes) if (after) state.add(after);
    const { servers, sets } = state.takeChanges();
    await this.apply(sets[ownAddresses], servers, async () => {
      const text = renderSetChanges(sets, this.deps.config.family);
      if (text !== '') await this.deps.run('ipset', ['restore'], text);
    });
    return state;
  }

  /** New addresses first, or IPVS would not see their packets; old ones last, or their clients would wait for nobody. */
  private async apply(
    addresses: EntryChanges,
    { before, after }: IpvsChanges['servers'],
    applySets: () => Promise<void>,
  ): Promise<void> {
    await this.changeAddresses('replace', addresses.come);
    const lines = renderChanges(before, after, this.leaving);
    if (lines.length > 0) await this.deps.run('ipvsadm', ['--restore'], `${lines.join('\n')}\n`);
    await applySets();
    await this.changeAddresses('del', addresses.gone);
  }

  async cleanup(): Promise<void> {
    const { run, config } = this.deps;
    const { family } = config;
    const addresses = addressesOfDevice(await readLinks(run));
    // Without our device there is nothing of ours in IPVS, which this kernel need not even have.
    const servers = addresses ? (await this.readKernel(await this.setUpKernel())).servers.keys() : [];
    const lines = [...servers].map(name => `-D ${name}`);
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
    this.known = new Map();
  }

  private async setUpKernel(): Promise<Link[]> {
    await setUpKernel(this.deps.run);
    return readLinks(this.deps.run);
  }

  /** What this process or an earlier one has made. Virtual servers of others are not in the answer: ours are noted in the kernel too. */
  private async readKernel(links: readonly Link[]): Promise<Found> {
    const { run, config } = this.deps;
    const ours = await readBalanced(run, config.family);
    const addresses = ofFamily(addressesOfDevice(links) ?? [], config.family);
    const saved = parseSaved(await run('ipvsadm', ['--save', '--numeric']));
    const servers = new Map(
      [...saved].filter(([name, { address, protocol, port }]) => {
        return this.known.has(name) || addresses.has(address) || ours.has(`${address},${protocol}:${port}`);
      }),
    );
    return { addresses, servers };
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

/** The places that an earlier process has balanced; none when it has left nothing. */
async function readBalanced(run: CommandRunner, family: IpFamily): Promise<Set<string>> {
  const text = await run('ipset', ['save', balancedSet(family)]).catch(() => '');
  return new Set(text.split('\n').flatMap(line => (line.startsWith('add ') ? [line.split(' ')[2] ?? ''] : [])));
}
