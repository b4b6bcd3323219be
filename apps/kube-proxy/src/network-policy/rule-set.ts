export const tableName = 'naru-network-policy';

/** A set or map of nft; a set's elements have no value. */
export interface NamedSet {
  readonly kind: 'set' | 'map';
  readonly type: string;
  readonly elements: ReadonlyMap<string, string>;
}

/** The whole table: what it should say, or what it was last made to say. */
export interface RuleSet {
  readonly sets: ReadonlyMap<string, NamedSet>;
  /** By name: the rules; besides the one chain that the kernel enters by. */
  readonly chains: ReadonlyMap<string, readonly string[]>;
}

/** Sets that the entry's rules name; the others belong to policies. */
export const fixedSets = {
  /** Addresses of this node's pods: nobody else here has one. */
  known: { kind: 'set', type: 'ipv4_addr' },
  /** Every isolated pod with itself. */
  itself: { kind: 'set', type: 'ipv4_addr . ipv4_addr' },
  ingress: { kind: 'map', type: 'ipv4_addr : verdict' },
  egress: { kind: 'map', type: 'ipv4_addr : verdict' },
} as const;

/**
 * Where packets enter. Every packet of the asking side is judged, not only a connection's first: a connection that a new
 * policy forbids ends. What the node itself sends to its pods, as probes, and what they send to it, is not forwarded and so
 * not judged, as upstream wants. An address of this node's range that no pod is known by may have a policy that is not
 * there yet: it gets through only when it is known.
 */
function entryRules(podCidr: string | undefined): string[] {
  const guard = podCidr
    ? [`ip saddr ${podCidr} ip saddr != @known drop`, `ip daddr ${podCidr} ip daddr != @known drop`]
    : [];
  return [
    'ct state established ct direction reply accept',
    'ct state related accept',
    'ip saddr . ip daddr @itself accept',
    ...guard,
    'ip saddr vmap @egress',
    'ip daddr vmap @ingress',
  ];
}

/** The transaction that replaces the table, whatever is there; without a rule set it only removes it. */
export function renderWhole(wanted: RuleSet | undefined, podCidr: string | undefined): string {
  const lines = [`add table ip ${tableName}`, `delete table ip ${tableName}`];
  if (wanted) {
    lines.push(`add table ip ${tableName} { comment "NetworkPolicies of Kubernetes"; }`);
    for (const [name, { kind, type }] of Object.entries(fixedSets)) lines.push(addSet(name, kind, type));
    const entry = 'forward';
    lines.push(`add chain ip ${tableName} ${entry} { type filter hook forward priority -5; }`);
    for (const rule of entryRules(podCidr)) lines.push(`add rule ip ${tableName} ${entry} ${rule}`);
    const empty: RuleSet = {
      sets: new Map(Object.entries(fixedSets).map(([name, set]) => [name, { ...set, elements: new Map() }])),
      chains: new Map(),
    };
    lines.push(...differences(empty, wanted));
  }
  return `${lines.join('\n')}\n`;
}

/** The transaction from one rule set to the next; empty when they say the same. */
export function renderDifferences(before: RuleSet, after: RuleSet): string {
  const lines = differences(before, after);
  return lines.length === 0 ? '' : `${lines.join('\n')}\n`;
}

const noElements: ReadonlyMap<string, string> = new Map();

/** Nothing is named before it is there, and nothing removed before its last mention has gone. */
function differences(before: RuleSet, after: RuleSet): string[] {
  const removals: string[] = [];
  const additions: string[] = [];
  const newSets: string[] = [];
  const oldSets: string[] = [];
  for (const [name, { kind, type, elements }] of after.sets) {
    const old = before.sets.get(name);
    if (!old) newSets.push(addSet(name, kind, type));
    if (old && old.elements === elements) continue;
    stepElements(name, old?.elements ?? noElements, elements, removals, additions);
  }
  for (const [name, { kind }] of before.sets) {
    if (!after.sets.has(name)) oldSets.push(`delete ${kind} ip ${tableName} ${name}`);
  }
  const chains: string[] = [];
  const rules: string[] = [];
  const oldChains: string[] = [];
  for (const [name, wanted] of after.chains) {
    const old = before.chains.get(name);
    if (old && old.join('\n') === wanted.join('\n')) continue;
    chains.push(`${old ? 'flush' : 'add'} chain ip ${tableName} ${name}`);
    for (const rule of wanted) rules.push(`add rule ip ${tableName} ${name} ${rule}`);
  }
  for (const name of before.chains.keys()) {
    if (!after.chains.has(name)) oldChains.push(`flush chain ip ${tableName} ${name}`);
  }
  for (const name of before.chains.keys()) {
    if (!after.chains.has(name)) oldChains.push(`delete chain ip ${tableName} ${name}`);
  }
  return [...removals, ...newSets, ...chains, ...rules, ...additions, ...oldChains, ...oldSets];
}

function addSet(name: string, kind: string, type: string): string {
  return `add ${kind} ip ${tableName} ${name} { type ${type}; }`;
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
      lines.push(`${verb} element ip ${tableName} ${name} { ${part} }`);
    }
  };
  command('delete', gone, removals);
  command('add', come, additions);
}
