import type { ServicePort } from '../../desired/service-port';
import { entriesOf, setNames, type SetName } from './filter';
import { SharedEntries, type EntryChanges } from './shared-entries';
import { nameOf, virtualServersOf, type Scheduler, type VirtualServer } from './virtual-server';

/** What has to be told to the kernel. */
export interface IpvsChanges {
  readonly servers: {
    readonly before: ReadonlyMap<string, VirtualServer>;
    readonly after: ReadonlyMap<string, VirtualServer>;
  };
  readonly sets: Readonly<Record<SetName, EntryChanges>>;
}

/** What the kernel should say. A port that changes takes as long as it has endpoints, however many other ports there are. */
export class IpvsState {
  readonly sets = Object.fromEntries(setNames.map(name => [name, new SharedEntries()])) as Record<
    SetName,
    SharedEntries
  >;
  private readonly known = new Map<string, VirtualServer>();
  /** Virtual servers that were set or deleted since the last `takeChanges`, as they were then. */
  private readonly touched = new Map<string, VirtualServer | undefined>();

  /** `nodeIps`: the addresses of this node that node ports answer on. */
  constructor(private readonly deps: { nodeIps: readonly string[]; scheduler: Scheduler }) {}

  get servers(): ReadonlyMap<string, VirtualServer> {
    return this.known;
  }

  add(port: ServicePort): void {
    this.count(port, 'add');
  }

  /** One that was added just so. */
  remove(port: ServicePort): void {
    this.count(port, 'remove');
  }

  /** What differs from the last time; at first all that is there. */
  takeChanges(): IpvsChanges {
    const before = new Map<string, VirtualServer>();
    const after = new Map<string, VirtualServer>();
    for (const [name, old] of this.touched) {
      if (old) before.set(name, old);
      const server = this.known.get(name);
      if (server) after.set(name, server);
    }
    this.touched.clear();
    const sets = Object.fromEntries(setNames.map(name => [name, this.sets[name].takeChanges()]));
    return { servers: { before, after }, sets: sets as Record<SetName, EntryChanges> };
  }

  private count(port: ServicePort, verb: 'add' | 'remove'): void {
    const { nodeIps, scheduler } = this.deps;
    for (const [set, entry] of entriesOf(port, nodeIps)) this.sets[set][verb](entry);
    for (const server of virtualServersOf(port, scheduler, nodeIps)) {
      const name = nameOf(server);
      if (!this.touched.has(name)) this.touched.set(name, this.known.get(name));
      if (verb === 'add') this.known.set(name, server);
      else this.known.delete(name);
    }
  }
}
