import type { CpuAndMemorySummary } from '../stats/cpu-and-memory';
import type { ContainerStats, PodStats } from '../stats/summary-types';
import { Exposition, type Labels } from './exposition';

interface Family<T> {
  name: string;
  type: 'counter' | 'gauge';
  help: string;
  read: (stats: T) => { value: number | undefined; time: string | undefined };
}

type Figures = Pick<PodStats, 'cpu' | 'memory' | 'swap'>;

const seconds = (nanoseconds: number | undefined): number | undefined =>
  nanoseconds === undefined ? undefined : nanoseconds / 1e9;

/** The same three figures of a container, a pod and the node. */
function families(kind: 'container' | 'pod' | 'node'): Family<Figures>[] {
  return [
    {
      name: `${kind}_cpu_usage_seconds_total`,
      type: 'counter',
      help: `[STABLE] Cumulative cpu time consumed by the ${kind} in core-seconds`,
      read: ({ cpu }) => ({ value: seconds(cpu?.usageCoreNanoSeconds), time: cpu?.time }),
    },
    {
      name: `${kind}_memory_working_set_bytes`,
      type: 'gauge',
      help: `[STABLE] Current working set of the ${kind} in bytes`,
      read: ({ memory }) => ({ value: memory?.workingSetBytes, time: memory?.time }),
    },
    {
      name: `${kind}_swap_usage_bytes`,
      type: 'gauge',
      help: `[ALPHA] Current amount of the ${kind} swap usage in bytes. Reported only on non-windows systems`,
      read: ({ swap }) => ({ value: swap?.swapUsageBytes, time: swap?.time }),
    },
  ];
}

/** /metrics/resource, what metrics servers scrape. `undefined`: the figures could not be had. Source: pkg/kubelet/metrics/collectors. */
export function resourceMetrics(summary: CpuAndMemorySummary | undefined): string {
  const text = new Exposition();
  const put = <T>(family: Family<T>, items: readonly { labels: Labels; stats: T }[]): void => {
    const sample = text.family(family.name, family.type, family.help);
    for (const { labels, stats } of items) {
      const { value, time } = family.read(stats);
      if (value !== undefined && time !== undefined) sample(labels, value, Date.parse(time));
    }
  };
  const pods = (summary?.pods ?? []).map(stats => ({
    labels: { namespace: stats.podRef.namespace, pod: stats.podRef.name },
    stats,
  }));
  const containers = pods.flatMap(({ labels, stats }) =>
    stats.containers.map(each => ({ labels: { container: each.name, ...labels }, stats: each })),
  );
  const started: Family<ContainerStats> = {
    name: 'container_start_time_seconds',
    type: 'gauge',
    help: '[STABLE] Start time of the container since unix epoch in seconds',
    read: ({ startTime, cpu }) => ({ value: Date.parse(startTime) / 1000, time: cpu?.time }),
  };
  for (const family of families('container')) put(family, containers);
  put(started, containers);
  for (const family of families('pod')) put(family, pods);
  for (const family of families('node')) put(family, summary ? [{ labels: {}, stats: summary.node }] : []);
  text.family(
    'resource_scrape_error',
    'gauge',
    '[STABLE] 1 if there was an error while getting container metrics, 0 otherwise',
  )({}, summary ? 0 : 1);
  return text.toString();
}
