/** A reading of what something has used since it began. */
export interface Reading {
  timeMs: number;
  cpuSeconds: number;
  memoryBytes: number;
  /** When it began, where that is known: a container that was started anew counts from zero. */
  startMs?: number | undefined;
}

/** What was used between two readings. */
export interface Usage {
  /** End of the window. */
  timeMs: number;
  windowMs: number;
  cpuCores: number;
  memoryBytes: number;
}

/** A young container counts from its start only when that is some time ago. */
const minWindowMs = 10_000;

/**
 * The last two readings of one thing, in place of a history. Source: metrics-server's storage of node and pod metrics
 * points.
 */
export class Meter {
  private before: Reading | undefined;
  private last: Reading | undefined;

  add(reading: Reading): void {
    // The kubelet may answer twice with the same reading.
    if (this.last && reading.timeMs <= this.last.timeMs) return;
    const restarted =
      this.last && (reading.cpuSeconds < this.last.cpuSeconds || (reading.startMs ?? 0) > (this.last.startMs ?? 0));
    this.before = restarted ? undefined : this.last;
    this.last = reading;
  }

  /** Undefined until there are two readings, or one of something that began a while ago and whose start is known. */
  get usage(): Usage | undefined {
    const { last, before } = this;
    if (!last) return undefined;
    const from = before ?? startOf(last);
    if (!from) return undefined;
    const windowMs = last.timeMs - from.timeMs;
    return {
      timeMs: last.timeMs,
      windowMs,
      cpuCores: ((last.cpuSeconds - from.cpuSeconds) * 1000) / windowMs,
      memoryBytes: last.memoryBytes,
    };
  }
}

function startOf({ startMs, timeMs }: Reading): Pick<Reading, 'timeMs' | 'cpuSeconds'> | undefined {
  return startMs !== undefined && timeMs - startMs >= minWindowMs ? { timeMs: startMs, cpuSeconds: 0 } : undefined;
}
