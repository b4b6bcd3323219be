import type { PortChange, ServicePort } from '../../desired/service-port';
import type { RuleConfig } from '../mode';
import { renderPort, type Element, type Fragment } from './fragment';
import { addressType, chainNames, nftFamily, renderSkeleton, setKinds, tableName } from './skeleton';

/** Names that are in the kernel's table now. */
export interface Existing {
  chains: string[];
  sets: string[];
}

/** How many elements one `add element` carries: nft's parser slows down with very long lines. */
const elementsPerCommand = 500;

const nothing: Fragment = { elements: [], chains: [], affinitySets: [], sharedChains: [] };

/**
 * Turns changes into the text of one nft transaction. It keeps only counts of what several ports share; what a port
 * contributed before is rendered again from its former version.
 */
export class NftTable {
  private readonly shared = new Map<string, number>();

  constructor(private readonly config: RuleConfig) {}

  /**
   * The transaction that makes the table say exactly `ports`, whatever it says now. The addresses that stick to
   * endpoints are kept where the endpoint is still there.
   */
  renderFull(ports: Iterable<ServicePort>, existing?: Existing): string {
    this.shared.clear();
    const body = new Transaction(this.config);
    for (const port of ports) this.step(body, nothing, renderPort(port, this.config));
    const head: string[] = [];
    if (existing) {
      // First the rules, then the maps: a chain can go only when nothing points at it.
      const table = `${nftFamily[this.config.family]} ${tableName}`;
      head.push(`flush table ${table}`);
      for (const [name, kind] of setKinds) {
        if (existing.sets.includes(name)) head.push(`flush ${kind} ${table} ${name}`);
      }
      const chains = new Set(body.chains.map(chain => chain.name));
      for (const name of existing.chains) {
        if (!chains.has(name) && !chainNames.includes(name)) head.push(`delete chain ${table} ${name}`);
      }
      const sets = new Set(body.newSets);
      for (const name of existing.sets) {
        if (!sets.has(name) && !setKinds.has(name)) head.push(`delete set ${table} ${name}`);
      }
    }
    return `${[...head, ...renderSkeleton(this.config), ...body.render()].join('\n')}\n`;
  }

  /** The transaction for the differences to what was rendered last; empty when there are none. */
  renderChanges(changes: readonly PortChange[]): string {
    const body = new Transaction(this.config);
    for (const { before, after } of changes) {
      const old = before ? renderPort(before, this.config) : nothing;
      this.step(body, old, after ? renderPort(after, this.config) : nothing);
    }
    const lines = body.render();
    return lines.length === 0 ? '' : `${lines.join('\n')}\n`;
  }

  private step(body: Transaction, old: Fragment, wanted: Fragment): void {
    // Take before giving back, so that what both sides have is not removed and made again.
    for (const chain of wanted.sharedChains) if (this.take(chain.name)) body.addChain(chain);
    for (const chain of old.sharedChains) if (this.giveBack(chain.name)) body.removeChain(chain.name);
    this.stepElements(body, old.elements, wanted.elements);
    const oldChains = new Map(old.chains.map(chain => [chain.name, chain.rules.join('\n')]));
    for (const chain of wanted.chains) {
      const rules = oldChains.get(chain.name);
      if (rules !== chain.rules.join('\n')) body.addChain(chain, rules !== undefined);
      oldChains.delete(chain.name);
    }
    for (const name of oldChains.keys()) body.removeChain(name);
    const oldSets = new Set(old.affinitySets);
    for (const name of wanted.affinitySets) if (!oldSets.delete(name)) body.newSets.push(name);
    body.oldSets.push(...oldSets);
  }

  private stepElements(body: Transaction, old: Element[], wanted: Element[]): void {
    const had = new Map<string, Element>();
    for (const element of old) had.set(`${element.set} ${element.key}`, element);
    for (const element of wanted) {
      const name = `${element.set} ${element.key}`;
      const before = had.get(name);
      had.delete(name);
      if (before && before.value === element.value) continue;
      if (element.value === undefined && !this.take(name)) continue;
      if (before) body.remove(before);
      body.add(element);
    }
    for (const [name, element] of had) {
      if (element.value !== undefined || this.giveBack(name)) body.remove(element);
    }
  }

  /** True for the first taker. */
  private take(name: string): boolean {
    const count = this.shared.get(name) ?? 0;
    this.shared.set(name, count + 1);
    return count === 0;
  }

  /** True for the last. */
  private giveBack(name: string): boolean {
    const count = (this.shared.get(name) ?? 1) - 1;
    if (count > 0) this.shared.set(name, count);
    else this.shared.delete(name);
    return count <= 0;
  }
}

/** Collects what is to be done and puts it into an order that nft accepts: nothing is named before it is there. */
class Transaction {
  readonly newSets: string[] = [];
  readonly oldSets: string[] = [];
  readonly chains: { name: string; rules: string[]; flush: boolean }[] = [];
  private readonly oldChains: string[] = [];
  private readonly added = new Map<string, string[]>();
  private readonly removed = new Map<string, string[]>();
  private readonly table: string;
  private readonly address: string;

  constructor({ family }: RuleConfig) {
    this.table = `${nftFamily[family]} ${tableName}`;
    this.address = addressType[family];
  }

  addChain({ name, rules }: { name: string; rules: string[] }, flush = false): void {
    // Given back by one port and taken by another in the same round: it is still there, with the same rules.
    const gone = this.oldChains.indexOf(name);
    if (gone >= 0) this.oldChains.splice(gone, 1);
    else this.chains.push({ name, rules, flush });
  }

  removeChain(name: string): void {
    const made = this.chains.findIndex(chain => chain.name === name && !chain.flush);
    if (made >= 0) this.chains.splice(made, 1);
    else this.oldChains.push(name);
  }

  add({ set, key, value }: Element): void {
    const text = value === undefined ? key : `${key} : ${value}`;
    const pending = this.added.get(set);
    if (pending) pending.push(text);
    else this.added.set(set, [text]);
  }

  remove({ set, key }: Element): void {
    const pending = this.removed.get(set);
    if (pending) pending.push(key);
    else this.removed.set(set, [key]);
  }

  render(): string[] {
    const lines: string[] = [];
    const elements = (verb: string, bySet: Map<string, string[]>): void => {
      for (const [set, texts] of bySet) {
        for (let at = 0; at < texts.length; at += elementsPerCommand) {
          const part = texts.slice(at, at + elementsPerCommand).join(', ');
          lines.push(`${verb} element ${this.table} ${set} { ${part} }`);
        }
      }
    };
    elements('delete', this.removed);
    for (const name of this.newSets) {
      // Each element brings its own timeout, so a change of it does not need another set.
      lines.push(`add set ${this.table} ${name} { type ${this.address}; size 65535; flags dynamic,timeout; }`);
    }
    for (const { name, flush } of this.chains) lines.push(`${flush ? 'flush' : 'add'} chain ${this.table} ${name}`);
    for (const { name, rules } of this.chains) {
      for (const rule of rules) lines.push(`add rule ${this.table} ${name} ${rule}`);
    }
    elements('add', this.added);
    for (const name of this.oldChains) lines.push(`flush chain ${this.table} ${name}`);
    for (const name of this.oldChains) lines.push(`delete chain ${this.table} ${name}`);
    for (const name of this.oldSets) lines.push(`delete set ${this.table} ${name}`);
    return lines;
  }
}
