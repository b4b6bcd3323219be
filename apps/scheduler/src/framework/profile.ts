import { extensionPoints, type ExtensionPoint, type PluginFactory } from './types';

export const defaultSchedulerName = 'default-scheduler';

export type ProfilePlugin = Pick<PluginFactory, 'name' | 'requeueOn' | 'isHelped' | 'build'>;

export interface PluginWeight {
  name: string;
  /** Of its scores. */
  weight: number;
}

/** How the pods that ask for one scheduler name are placed. */
export interface Profile {
  schedulerName: string;
  /** How many nodes are enough to choose from, in percent; 0 adapts to the size of the cluster. */
  percentageOfNodesToScore: number;
  plugins: readonly ProfilePlugin[];
  /** The order of the plugins at each extension point; those that have nothing to do there are passed over. */
  points: Readonly<Record<ExtensionPoint, readonly PluginWeight[]>>;
}

/** All the plugins at every point, in their own order and with their own weights. */
export function defaultProfile(
  registry: readonly PluginFactory[],
  { schedulerName = defaultSchedulerName, percentageOfNodesToScore = 0 }: Partial<Profile> = {},
): Profile {
  const all = registry.map(({ name, weight = 1 }) => ({ name, weight }));
  const points = Object.fromEntries(extensionPoints.map(point => [point, all])) as unknown as Profile['points'];
  return { schedulerName, percentageOfNodesToScore, plugins: registry, points };
}
