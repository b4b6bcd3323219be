import type { PortChange, ServicePort } from '../../desired/service-port';
import type { RuleConfig } from '../mode';
import { renderPort, type Fragment, type SharedRule } from './fragment';
import { fixedChains, isPortChain, jumps, type TableName } from './skeleton';

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

/** The input of `iptables-restore --noflush` that makes our chains say exactly `ports`; other chains stay as they are. */
export function renderFull(ports: Iterable<ServicePort>, config: RuleConfig, saved: Saved): string {
  const shared: SharedRule[] = [];
  const declared = new Set<string>();
  const natRules: string[] = [];
  for (const port of ports) {
    const fragment = renderPort(port, config);
    for (const rule of fragment.shared) shared.push(rule);
    for (const { name, rules } of fragment.chains) {
      declared.add(name);
      for (const rule of rules) natRules.push(`-A ${name} ${rule}`);
    }
  }
  const stale = saved.chains.nat.filter(name => isPortChain(name) && !declared.has(name));
  const text = tables.flatMap(table => {
    const fixed = fixedChains.filter(chain => chain.table === table);
    let lines = [`*${table}`, ...fixed.map(({ name }) => `:${name} - [0:0]`)];
    // In order: the nft variant of iptables-restore sorts them by insertion, and takes half the time so.
    if (table === 'nat') for (const name of [...declared, ...stale].sort()) lines.push(`:${name} - [0:0]`);
    for (const rule of shared) if (rule.table === table) lines.push(`-A ${rule.chain} ${rule.rule}`);
    for (const { name, rules } of fixed) {
      for (const rule of typeof rules === 'function' ? rules(config) : rules) lines.push(`-A ${name} ${rule}`);
    }
    // No spreading: of a large cluster that would be more arguments than a call can have.
    if (table === 'nat')
      lines = lines.concat(
        natRules,
        stale.map(name => `-X ${name}`),
      );
    for (const jump of jumps) {
      if (jump.table === table && !hasJump(saved, jump)) lines.push(`-I ${jump.chain} ${jump.rule}`);
    }
    return [...lines, 'COMMIT'];
  });
  return `${text.join('\n')}\n`;
}

/** The input for the differences; empty when there are none. A table without differences does not appear. */
export function renderChanges(changes: readonly PortChange[], config: RuleConfig): string {
  const lines: Record<TableName, string[]> = { filter: [], nat: [] };
  const declared: string[] = [];
  const natRules: string[] = [];
  const gone: string[] = [];
  for (const { before, after } of changes) {
    const old = before ? renderPort(before, config) : nothing;
    const wanted = after ? renderPort(after, config) : nothing;
    const had = new Map(old.chains.map(chain => [chain.name, chain.rules.join('\n')]));
    for (const { name, rules } of wanted.chains) {
      if (had.get(name) !== rules.join('\n')) {
        declared.push(name);
        for (const rule of rules) natRules.push(`-A ${name} ${rule}`);
      }
      had.delete(name);
    }
    gone.push(...had.keys());
    stepShared(old.shared, wanted.shared, lines);
  }
  lines.nat = [...declared, ...gone]
    .map(name => `:${name} - [0:0]`)
    .concat(
      natRules,
      lines.nat,
      gone.map(name => `-X ${name}`),
    );
  return tables
    .flatMap(table => (lines[table].length > 0 ? [`*${table}\n${lines[table].join('\n')}\nCOMMIT\n`] : []))
    .join('');
}

function stepShared(old: SharedRule[], wanted: SharedRule[], lines: Record<TableName, string[]>): void {
  const textOf = ({ table, chain, rule }: SharedRule): string => `${table} ${chain} ${rule}`;
  const had = new Set(old.map(textOf));
  const wants = new Set(wanted.map(textOf));
  // At the head: the last rule of KUBE-SERVICES must stay the last, and the order of the others does not matter.
  for (const rule of wanted) if (!had.has(textOf(rule))) lines[rule.table].push(`-I ${rule.chain} ${rule.rule}`);
  for (const rule of old) if (!wants.has(textOf(rule))) lines[rule.table].push(`-D ${rule.chain} ${rule.rule}`);
}

/** The input that removes all of ours. */
export function renderCleanup(saved: Saved): string {
  const text = tables.flatMap(table => {
    const fixed = new Set(fixedChains.filter(chain => chain.table === table).map(({ name }) => name));
    const ours = saved.chains[table].filter(name => fixed.has(name) || (table === 'nat' && isPortChain(name)));
    if (ours.length === 0) return [];
    const present = jumps.filter(jump => jump.table === table && hasJump(saved, jump));
    return [
      `*${table}`,
      ...ours.map(name => `:${name} - [0:0]`),
      ...present.map(({ chain, rule }) => `-D ${chain} ${rule}`),
      ...ours.map(name => `-X ${name}`),
      'COMMIT',
    ];
  });
  return text.length > 0 ? `${text.join('\n')}\n` : '';
}

function hasJump(saved: Saved, { table, chain, rule }: (typeof jumps)[number]): boolean {
  return saved.rules[table].has(`-A ${chain} ${rule}`);
}
