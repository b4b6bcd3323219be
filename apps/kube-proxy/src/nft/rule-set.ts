/** A set or map of nft; a set's elements have no value. */
export interface NamedSet {
  readonly kind: 'set' | 'map';
  readonly type: string;
  readonly elements: ReadonlyMap<string, string>;
}

/** The whole table: what it should say, or what it was last made to say. */
export interface RuleSet {
  readonly sets: ReadonlyMap<string, NamedSet>;
  /** By name: the rules; besides those of the skeleton. */
  readonly chains: ReadonlyMap<string, readonly string[]>;
}

/** What of a table never changes: its base chains with their rules, and the sets that those name. */
export interface Skeleton {
  /** With its family: `ip6 naru-network-policy`. */
  table: string;
  comment: string;
  sets: Readonly<Record<string, Omit<NamedSet, 'elements'>>>;
  /** In order: a rule may only name chains before its own. */
  chains: readonly { name: string; hook?: string; rules: readonly string[] }[];
}

/** The transaction that replaces the table, whatever is there. */
export function renderWhole(skeleton: Skeleton, wanted: RuleSet): string {
  const { table, comment, sets, chains } = skeleton;
  const lines = [...removal(table), `add table ${table} { comment "${comment}"; }`];
  for (const [name, { kind, type }] of Object.entries(sets)) lines.push(addSet(table, name, kind, type));
  for (const { name, hook } of chains) lines.push(`add chain ${table} ${name}${hook ? ` { type ${hook}; }` : ''}`);
  for (const { name, rules } of chains) for (const rule of rules) lines.push(`add rule ${table} ${name} ${rule}`);
  const empty: RuleSet = {
    sets: new Map(Object.entries(sets).map(([name, set]) => [name, { ...set, elements: noElements }])),
    chains: new Map(),
  };
  return `${[...lines, ...differences(table, empty, wanted)].join('\n')}\n`;
}

/** Harmless when there is no such table: adding what is there is, deleting what is not would not be. */
export function renderRemoval(table: string): string {
  return `${removal(table).join('\n')}\n`;
}

function removal(table: string): string[] {
  return [`add table ${table}`, `delete table ${table}`];
}

/** The transaction from one rule set to the next; empty when they say the same. */
export function renderDifferences({ table }: Skeleton, before: RuleSet, after: RuleSet): string {
  const lines = differences(table, before, after);
  return lines.length === 0 ? '' : `${lines.join('\n')}\n`;
}

const noElements: ReadonlyMap<string, string> = new Map();

/** Nothing is named before it is there, and nothing removed before its last mention has gone. */
function differences(table: string, before: RuleSet, after: RuleSet): string[] {
  const removals: string[] = [];
  const additions: string[] = [];
  const newSets: string[] = [];
  const oldSets: string[] = [];
  for (const [name, { kind, type, elements }] of after.sets) {
    const old = before.sets.get(name);
    if (!old) newSets.push(addSet(table, name, kind, type));
    if (old && old.elements === elements) continue;
    stepElements(`${table} ${name}`, old?.elements ?? noElements, elements, removals, additions);
  }
  for (const [name, { kind }] of before.sets) {
    if (!after.sets.has(name)) oldSets.push(`delete ${kind} ${table} ${name}`);
  }
  const chains: string[] = [];
  const rules: string[] = [];
  const oldChains: string[] = [];
  for (const [name, wanted] of after.chains) {
    const old = before.chains.get(name);
    if (old && old.join('\n') === wanted.join('\n')) continue;
    chains.push(`${old ? 'flush' : 'add'} chain ${table} ${name}`);
    for (const rule of wanted) rules.push(`add rule ${table} ${name} ${rule}`);
  }
  for (const name of before.chains.keys()) {
    if (!after.chains.has(name)) oldChains.push(`flush chain ${table} ${name}`);
  }
  for (const name of before.chains.keys()) {
    if (!after.chains.has(name)) oldChains.push(`delete chain ${table} ${name}`);
  }
  return [...removals, ...newSets, ...chains, ...rules, ...additions, ...oldChains, ...oldSets];
}

function addSet(table: string, name: string, kind: string, type: string): string {
  return `add ${kind} ${table} ${name} { type ${type}; }`;
}

/** How many elements one command carries: nft's parser slows down with very long lines. */
const elementsPerCommand = 500;

function stepElements(
  name: string,
  before: ReadonlyMap<string, string>,
  after: ReadonlyMap<string, string>,
  removals: string[],
  additions: string[],
): void {
  const gone: string[] = [];
  const come: string[] = [];
  for (const [key, value] of before) if (after.get(key) !== value) gone.push(key);
  for (const [key, value] of after) if (before.get(key) !== value) come.push(value === '' ? key : `${key} : ${value}`);
  const command = (verb: string, items: string[], lines: string[]): void => {
    for (let at = 0; at < items.length; at += elementsPerCommand) {
      const part = items.slice(at, at + elementsPerCommand).join(', ');
      lines.push(`${verb} element ${name} { ${part} }`);
    }
  };
  command('delete', gone, removals);
  command('add', come, additions);
}
