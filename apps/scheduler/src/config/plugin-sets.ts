import { extensionPoints, type ExtensionPoint, type PluginFactory } from '../framework/types';
import type { PluginWeight, ProfilePlugin } from '../framework/profile';
import type { ConfigNode } from './config-node';

/** One list of `plugins` in a profile. */
interface PluginSet {
  enabled: { name: string; weight: number | undefined; node: ConfigNode }[];
  disabled: ReadonlySet<string>;
}

/** Which plugins a profile runs, and at each extension point in which order and with which weight. */
export interface ProfilePlugins {
  plugins: ProfilePlugin[];
  points: Record<ExtensionPoint, PluginWeight[]>;
}

const maxWeight = 2 ** 31 - 1;

function readSet(node: ConfigNode): PluginSet {
  const { enabled, disabled } = node.fields('enabled', 'disabled');
  const seen = new Set<string>();
  return {
    enabled: enabled.items().map(item => {
      const fields = item.fields('name', 'weight');
      const name = fields.name.text();
      if (seen.has(name)) fields.name.fail(`plugin "${name}" is already registered`);
      seen.add(name);
      const weight = fields.weight.integer({ min: 0, max: maxWeight, fallback: 0 });
      return { name, weight: weight || undefined, node: fields.name };
    }),
    disabled: new Set(disabled.items().map(item => item.fields('name', 'weight').name.text())),
  };
}

const isOff = (set: PluginSet, name: string): boolean => set.disabled.has('*') || set.disabled.has(name);

/** `multiPoint` over the defaults: what is enabled there replaces the default of the same name, in its place. */
function readMultiPoint(set: PluginSet, registry: readonly PluginFactory[]): PluginWeight[] {
  const replaced = new Map(set.enabled.map(plugin => [plugin.name, plugin]));
  const kept = registry
    .filter(({ name }) => !isOff(set, name))
    .map(({ name, weight = 1 }) => ({ name, weight: replaced.get(name)?.weight ?? weight }));
  const known = new Set(kept.map(({ name }) => name));
  return [
    ...kept,
    ...set.enabled.filter(({ name }) => !known.has(name)).map(({ name, weight = 1 }) => ({ name, weight })),
  ];
}

/**
 * The order of one extension point: what its own list names of the general ones, then the other general ones, then the
 * rest of its own list. Source: upstream's expandMultiPointPlugins.
 */
function orderPoint(own: PluginSet, general: readonly PluginWeight[]): PluginWeight[] {
  const weightOf = new Map(general.map(({ name, weight }) => [name, weight]));
  const listed = own.enabled.map(({ name, weight }) => ({ name, weight: weight ?? weightOf.get(name) ?? 1 }));
  const named = new Set(listed.map(({ name }) => name));
  return [
    ...listed.filter(({ name }) => weightOf.has(name)),
    ...general.filter(({ name }) => !named.has(name) && !isOff(own, name)),
    ...listed.filter(({ name }) => !weightOf.has(name)),
  ];
}

function readArgs(node: ConfigNode, registry: readonly PluginFactory[]): Map<string, ConfigNode> {
  const args = new Map<string, ConfigNode>();
  for (const item of node.items()) {
    const fields = item.fields('name', 'args');
    const name = fields.name.text();
    const factory = registry.find(plugin => plugin.name === name);
    if (!factory) fields.name.fail(`there is no plugin "${name}"`);
    if (!factory?.configure) fields.args.fail(`plugin "${name}" takes no arguments`);
    if (args.has(name)) fields.name.fail(`Duplicate value: "${name}"`);
    args.set(name, fields.args);
  }
  return args;
}

/** Reads `plugins` and `pluginConfig` of a profile. @throws ConfigError */
export function readProfilePlugins(
  pluginsNode: ConfigNode,
  configNode: ConfigNode,
  registry: readonly PluginFactory[],
): ProfilePlugins {
  // QueueSort is there for the files that name it: the one order of the queue is by priority and age.
  const sets = pluginsNode.fields('multiPoint', 'queueSort', ...extensionPoints);
  readSet(sets.queueSort).enabled.forEach(({ name, node }) => {
    if (name !== 'PrioritySort') node.fail(`there is no plugin "${name}" for queueSort`);
  });
  const known = new Set(registry.map(({ name }) => name));
  const check = (set: PluginSet): PluginSet => {
    for (const { name, node } of set.enabled)
      if (!known.has(name) && name !== 'PrioritySort') node.fail(`there is no plugin "${name}"`);
    return { ...set, enabled: set.enabled.filter(({ name }) => name !== 'PrioritySort') };
  };
  const general = readMultiPoint(check(readSet(sets.multiPoint)), registry);
  const points = Object.fromEntries(
    extensionPoints.map(point => [point, orderPoint(check(readSet(sets[point])), general)]),
  ) as Record<ExtensionPoint, PluginWeight[]>;
  const used = new Set(Object.values(points).flatMap(list => list.map(({ name }) => name)));
  const args = readArgs(configNode, registry);
  const plugins = registry
    .filter(({ name }) => used.has(name))
    .map(({ name, requeueOn, isHelped, build, configure }) => {
      const given = args.get(name);
      const requeue = { name, requeueOn, ...(isHelped ? { isHelped } : {}) };
      return { ...requeue, build: given && configure ? configure(given) : build };
    });
  return { plugins, points };
}
