import type { Registry } from 'prom-client';

type Labels = Record<string, string>;

interface Description {
  name: string;
  help: string;
}

/** What prom-client's registry asks of a metric. */
interface Collected extends Description {
  type: string;
  aggregator: string;
  values: { value: number; labels: Record<string, string | number>; metricName?: string }[];
}

function register(registry: Registry, name: string, get: () => Promise<Collected>): void {
  registry.registerMetric({ name, get } as never);
}

/** A counter for the hot path: counting is one map access, and the labels are spelt out when they are asked for. */
export class Tally {
  private readonly counts = new Map<number, number>();

  /** `labelsOf` turns a key back into labels; the caller keeps the number of keys bounded. */
  constructor(registry: Registry, description: Description, labelsOf: (key: number) => Labels) {
    register(registry, description.name, async () => ({
      ...description,
      type: 'counter',
      aggregator: 'sum',
      values: [...this.counts].map(([key, value]) => ({ value, labels: labelsOf(key) })),
    }));
  }

  count(key: number): void {
    this.counts.set(key, (this.counts.get(key) ?? 0) + 1);
  }
}

interface Series {
  /** Per bucket, not cumulated; the last one is +Inf. */
  counts: number[];
  sum: number;
}

/** A histogram for the hot path. */
export class TallyHistogram {
  private readonly series = new Map<number, Series>();

  constructor(
    registry: Registry,
    private readonly description: Description & { buckets: number[] },
    private readonly labelsOf: (key: number) => Labels,
  ) {
    const { name, help } = description;
    register(registry, name, async () => ({
      name,
      help,
      type: 'histogram',
      aggregator: 'sum',
      values: [...this.series].flatMap(([key, series]) => this.valuesOf(key, series)),
    }));
  }

  observe(key: number, value: number): void {
    const { buckets } = this.description;
    let series = this.series.get(key);
    if (!series) this.series.set(key, (series = { counts: new Array<number>(buckets.length + 1).fill(0), sum: 0 }));
    let bucket = 0;
    while (bucket < buckets.length && value > (buckets[bucket] as number)) bucket++;
    series.counts[bucket] = (series.counts[bucket] as number) + 1;
    series.sum += value;
  }

  private valuesOf(key: number, { counts, sum }: Series): Collected['values'] {
    const { name, buckets } = this.description;
    const labels = this.labelsOf(key);
    let total = 0;
    const values: Collected['values'] = counts.map((count, i) => ({
      metricName: `${name}_bucket`,
      labels: { ...labels, le: buckets[i] ?? '+Inf' },
      value: (total += count),
    }));
    values.push({ metricName: `${name}_sum`, labels, value: sum });
    values.push({ metricName: `${name}_count`, labels, value: total });
    return values;
  }
}
