import type { PortChange, ServicePort } from '../../desired/service-port';
import type { RuleConfig } from '../mode';
import { removalRank, renderPort, type Chain, type Fragment, type SharedRule } from './fragment';
import { fixedChains, isPortChain, jumps, markMasqueradeChain, type FixedChain, type TableName } from './skeleton';

/** What `iptables-save` tells: chains by table, and all `-A` lines. */
export interface Saved {
  chains: Record<TableName, string[]>;
  rules: Record<TableName, Set<string>>;
}

const tables: TableName[] = ['filter', 'nat'];
const nothing: Fragment = { chains: [], shared: [] };

export function parseSaved(text: string): Saved {
  const saved: Saved = { chains: { filter: [], nat: [] }, rules: { filter: new Set(), nat: new Set() } };
  let table: TableName | undefined;
  for (const line of text.split('\n')) {
    if (line.startsWith('*')) table = tables.find(name => line === `*${name}`);
    else if (!table) continue;
    else if (line.startsWith(':')) saved.chains[table].push(line.slice(1, line.indexOf(' ')));
    else if (line.startsWith('-A ')) saved.rules[table].add(line);
  }
  return saved;
}

/**
 * How many chains of ports one input may have. The nft variant of iptables-restore searches a list of those of its input at each line, and
 * the kernel checks the whole table at the end of each input: with 110,000 chains this keeps both small.
 */
export const chainsPerInput = 2000;

/**
 * The inputs of `iptables-restore --noflush`, to be given one after the other, that make our chains say exactly `ports`; other chains stay
 * as they are. Of each port an input has all chains or none. What leads to them comes after them, with the last of them, and is followed
 * by what removes those that nothing leads to any more: whichever input is the last that is taken, no rule leads astray.
 */
export function* renderFull(
  ports: Iterable<ServicePort>,
  config: RuleConfig,
  saved: Saved,
  perInput = chainsPerInput,
): Generator<string> {
  const shared: SharedRule[] = [];
  const stale = new Set(saved.chains.nat.filter(isPortChain));
  let chains: Chain[] = [];
  for (const port of ports) {
    const fragment = renderPort(port, config);
    for (const rule of fragment.shared) shared.push(rule);
    if (chains.length > 0 && chains.length + fragment.chains.length > perInput) {
      yield input({ nat: [...markChain(config), ...declare(chains.map(nameOf)), ...rulesOf(chains)] });
      chains = [];
    }
    for (const chain of fragment.chains) {
      stale.delete(chain.name);
      chains.push(chain);
    }
  }
  const [first, ...rest] = removals([...stale], perInput);
  const linesOf = (table: TableName): string[] => {
    const fixed = fixedChains.filter(chain => chain.table === table);
    const isNat = table === 'nat';
    return [
      ...fixed.map(({ name }) => `:${name} - [0:0]`),
      ...(isNat ? declare(chains.map(nameOf)) : []),
      ...shared.flatMap(rule => (rule.table === table ? [`-A ${rule.chain} ${rule.rule}`] : [])),
      ...fixed.flatMap(chain => fixedRules(chain, config)),
      ...(isNat ? [...rulesOf(chains), ...(first?.nat ?? [])] : []),
      ...jumps.flatMap(jump =>
        jump.table === table && !hasJump(saved, jump) ? [`-I ${jump.chain} ${jump.rule}`] : [],
      ),
    ];
  };
  yield input({ filter: linesOf('filter'), nat: linesOf('nat') });
  yield* rest.map(input);
}

/** The inputs for the differences, in the order of `renderFull`; none when there are none. A table without differences does not appear. */
export function* renderChanges(
  changes: readonly PortChange[],
  config: RuleConfig,
  perInput = chainsPerInput,
): Generator<string> {
  const lines: Record<TableName, string[]> = { filter: [], nat: [] };
  const gone: string[] = [];
  let chains: Chain[] = [];
  for (const { before, after } of changes) {
    const old = before ? renderPort(before, config) : nothing;
    const wanted = after ? renderPort(after, config) : nothing;
    const had = new Map(old.chains.map(chain => [chain.name, chain.rules.join('\n')]));
    const differing = wanted.chains.filter(({ name, rules }) => had.get(name) !== rules.join('\n'));
    for (const { name } of wanted.chains) had.delete(name);
    gone.push(...had.keys());
    stepShared(old.shared, wanted.shared, lines);
    if (chains.length > 0 && chains.length + differing.length > perInput) {
      yield input({ nat: [...declare(chains.map(nameOf)), ...rulesOf(chains)] });
      chains = [];
    }
    chains.push(...differing);
  }
  const [first, ...rest] = removals(gone, perInput);
  lines.nat = [...declare(chains.map(nameOf)), ...rulesOf(chains), ...lines.nat, ...(first?.nat ?? [])];
  if (lines.filter.length + lines.nat.length > 0) yield input(lines);
  yield* rest.map(input);
}

function input(lines: Partial<Record<TableName, readonly string[]>>): string {
  return tables
    .flatMap(table => (lines[table]?.length ? [`*${table}\n${lines[table].join('\n')}\nCOMMIT\n`] : []))
    .join('');
}

function nameOf({ name }: { name: string }): string {
  return name;
}

/** In order: the nft variant of iptables-restore sorts them by insertion, and takes half the time so. */
function declare(names: readonly string[]): string[] {
  return [...names].sort().map(name => `:${name} - [0:0]`);
}

function rulesOf(chains: readonly Chain[]): string[] {
  return chains.flatMap(({ name, rules }) => rules.map(rule => `-A ${name} ${rule}`));
}

function fixedRules({ name, rules }: FixedChain, config: RuleConfig): string[] {
  return (typeof rules === 'function' ? rules(config) : rules).map(rule => `-A ${name} ${rule}`);
}

/** The one fixed chain that chains of ports lead to. */
function markChain(config: RuleConfig): string[] {
  return fixedChains
    .filter(({ name }) => name === markMasqueradeChain)
    .flatMap(chain => [`:${chain.name} - [0:0]`, ...fixedRules(chain, config)]);
}

/** What removes chains, for several inputs; none goes before those that may lead to it. */
function removals(names: readonly string[], perInput: number): { nat: string[] }[] {
  const ordered = [...names].sort((a, b) => removalRank(a) - removalRank(b));
  const groups: { nat: string[] }[] = [];
  for (let at = 0; at < ordered.length; at += perInput) {
    const group = ordered.slice(at, at + perInput);
    groups.push({ nat: [...declare(group), ...group.map(name => `-X ${name}`)] });
  }
  return groups;
}

function stepShared(old: SharedRule[], wanted: SharedRule[], lines: Record<TableName, string[]>): void {
  const textOf = ({ table, chain, rule }: SharedRule): string => `${table} ${chain} ${rule}`;
  const had = new Set(old.map(textOf));
  const wants = new Set(wanted.map(textOf));
  // At the head: the last rule of KUBE-SERVICES must stay the last, and the order of the others does not matter.
  for (const rule of wanted) if (!had.has(textOf(rule))) lines[rule.table].push(`-I ${rule.chain} ${rule.rule}`);
  for (const rule of old) if (!wants.has(textOf(rule))) lines[rule.table].push(`-D ${rule.chain} ${rule.rule}`);
}

/** The inputs that remove all of ours: first what leads to the ports, then theirs, and last what those lead to. */
export function* renderCleanup(saved: Saved, perInput = chainsPerInput): Generator<string> {
  const fixedOf = (table: TableName, isLast: boolean): string[] => {
    const present = new Set(saved.chains[table]);
    const ours = fixedChains.filter(chain => chain.table === table && present.has(chain.name)).map(nameOf);
    return ours.filter(name => (name === markMasqueradeChain) === isLast);
  };
  const linesOf = (table: TableName): string[] => {
    const present = jumps.filter(jump => jump.table === table && hasJump(saved, jump));
    const names = fixedOf(table, false);
    return [
      ...declare(names),
      ...present.map(({ chain, rule }) => `-D ${chain} ${rule}`),
      ...names.map(name => `-X ${name}`),
    ];
  };
  const groups = [
    { filter: linesOf('filter'), nat: linesOf('nat') },
    ...removals(saved.chains.nat.filter(isPortChain), perInput),
    ...removals(fixedOf('nat', true), perInput),
  ];
  for (const group of groups) {
    const text = input(group);
    if (text !== '') yield text;
  }
}

function hasJump(saved: Saved, { table, chain, rule }: (typeof jumps)[number]): boolean {
  return saved.rules[table].has(`-A ${chain} ${rule}`);
}
