import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { defaultProfile, defaultSchedulerName, type Profile } from '../framework/profile';
import { extensionPoints, type PluginFactory } from '../framework/types';
import { readExtender, type ExtenderConfiguration } from '../extenders/extender-configuration';
import { ConfigError, ConfigNode } from './config-node';
import { readProfilePlugins } from './plugin-sets';

/** What of kubescheduler.config.k8s.io/v1 KubeSchedulerConfiguration has an effect here. */
export interface SchedulerConfiguration {
  leaderElect: boolean;
  leaseName: string;
  leaseNamespace: string;
  initialBackoffMs: number;
  maxBackoffMs: number;
  profiles: readonly Profile[];
  extenders: readonly ExtenderConfiguration[];
}

const apiVersion = 'kubescheduler.config.k8s.io/v1';
const maxPercentage = 100;
const maxSeconds = 2 ** 31 - 1;

/** Upstream's defaults with one profile. */
export function defaultConfiguration(registry: readonly PluginFactory[]): SchedulerConfiguration {
  return read(new ConfigNode({ apiVersion, kind: 'KubeSchedulerConfiguration' }, ''), registry);
}

/** Reads a YAML or JSON file. @throws Error that names the file, the field and what is wrong with it */
export function loadConfiguration(file: string, registry: readonly PluginFactory[]): SchedulerConfiguration {
  try {
    return read(new ConfigNode(parse(readFileSync(file, 'utf8')), ''), registry);
  } catch (error) {
    throw new Error(`cannot use ${file}: ${(error as Error).message}`, { cause: error });
  }
}

function read(root: ConfigNode, registry: readonly PluginFactory[]): SchedulerConfiguration {
  const fields = root.fields(
    'apiVersion',
    'kind',
    'leaderElection',
    'percentageOfNodesToScore',
    'podInitialBackoffSeconds',
    'podMaxBackoffSeconds',
    'profiles',
    'extenders',
    // Without effect here: one thread looks at the nodes, flags say where the api-server is, and caches are always filled.
    'parallelism',
    'clientConnection',
    'delayCacheUntilActive',
    'enableProfiling',
    'enableContentionProfiling',
  );
  fields.apiVersion.choice([apiVersion]);
  fields.kind.choice(['KubeSchedulerConfiguration']);
  const initial = fields.podInitialBackoffSeconds.integer({ min: 1, max: maxSeconds, fallback: 1 });
  const maximal = fields.podMaxBackoffSeconds.integer({ min: 1, max: maxSeconds, fallback: Math.max(10, initial) });
  if (maximal < initial) fields.podMaxBackoffSeconds.fail('must be greater than or equal to PodInitialBackoffSeconds');
  const percentage = fields.percentageOfNodesToScore.integer({ min: 0, max: maxPercentage, fallback: 0 });
  const extenders = fields.extenders.items().map(readExtender);
  if (extenders.filter(({ bindVerb }) => bindVerb !== '').length > 1)
    fields.extenders.fail('only one extender can implement bind');
  return {
    ...readLeaderElection(fields.leaderElection),
    initialBackoffMs: initial * 1000,
    maxBackoffMs: maximal * 1000,
    profiles: readProfiles(fields.profiles, percentage, registry),
    extenders,
  };
}

function readLeaderElection(
  node: ConfigNode,
): Pick<SchedulerConfiguration, 'leaderElect' | 'leaseName' | 'leaseNamespace'> {
  const fields = node.fields(
    'leaderElect',
    'leaseDuration',
    'renewDeadline',
    'retryPeriod',
    'resourceLock',
    'resourceName',
    'resourceNamespace',
  );
  fields.resourceLock.choice(['leases'], 'leases');
  return {
    leaderElect: fields.leaderElect.truth(true),
    leaseName: fields.resourceName.text('kube-scheduler'),
    leaseNamespace: fields.resourceNamespace.text('kube-system'),
  };
}

function readProfiles(node: ConfigNode, percentage: number, registry: readonly PluginFactory[]): Profile[] {
  const items = node.items();
  if (items.length === 0) return [defaultProfile(registry, { percentageOfNodesToScore: percentage })];
  const names = new Set<string>();
  return items.map(item => {
    const fields = item.fields('schedulerName', 'percentageOfNodesToScore', 'plugins', 'pluginConfig');
    // Only when there is one is its name a matter of course.
    const schedulerName = fields.schedulerName.text(items.length === 1 ? defaultSchedulerName : undefined);
    if (names.has(schedulerName)) fields.schedulerName.fail(`Duplicate value: "${schedulerName}"`);
    names.add(schedulerName);
    const { plugins, points } = readProfilePlugins(fields.plugins, fields.pluginConfig, registry);
    if (points.bind.length === 0)
      throw new ConfigError(`${item.path}.plugins.bind`, 'at least one bind plugin is needed');
    return {
      schedulerName,
      percentageOfNodesToScore: fields.percentageOfNodesToScore.integer({
        min: 0,
        max: maxPercentage,
        fallback: percentage,
      }),
      plugins,
      points: Object.fromEntries(extensionPoints.map(point => [point, points[point]])) as unknown as Profile['points'],
    };
  });
}
