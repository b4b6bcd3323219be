import { Counter, Gauge, Histogram, Registry } from 'prom-client';

export interface ProbeObservation {
  container: string;
  namespace: string;
  pod: string;
  uid: string;
  /** Liveness, Readiness, Startup */
  type: string;
  result: 'successful' | 'failed' | 'unknown';
  seconds: number;
}

const maxPods = 1_024;

/** /metrics/probes: how often each probe of each container ended how. Those of pods that are gone are dropped. */
export class ProbeMetrics {
  readonly registry = new Registry();
  private readonly total;
  private readonly duration;
  private readonly seen = new Map<string, ProbeObservation[]>();

  constructor() {
    const registers = [this.registry];
    this.total = new Counter({
      name: 'prober_probe_total',
      help: 'Cumulative number of a liveness, readiness or startup probe for a container by result.',
      labelNames: ['probe_type', 'result', 'container', 'pod', 'namespace', 'pod_uid'],
      registers,
    });
    this.duration = new Histogram({
      name: 'prober_probe_duration_seconds',
      help: 'Duration in seconds for a probe response.',
      labelNames: ['probe_type', 'container', 'pod', 'namespace'],
      registers,
    });
    const started = new Gauge({
      name: 'process_start_time_seconds',
      help: '[ALPHA] Start time of the process since unix epoch in seconds.',
      registers,
    });
    started.set(Math.round(Date.now() / 1000 - process.uptime()));
  }

  observe(probe: ProbeObservation): void {
    const labels = labelsOf(probe);
    this.total.inc({ ...labels, result: probe.result, pod_uid: probe.uid });
    this.duration.observe(labels, probe.seconds);
    const known = this.seen.get(probe.uid) ?? [];
    if (!known.some(each => each.container === probe.container && each.type === probe.type)) known.push(probe);
    this.seen.set(probe.uid, known);
    if (this.seen.size > maxPods) this.forget(this.seen.keys().next().value as string);
  }

  forget(uid: string): void {
    for (const probe of this.seen.get(uid) ?? []) {
      const labels = labelsOf(probe);
      for (const result of ['successful', 'failed', 'unknown']) this.total.remove({ ...labels, result, pod_uid: uid });
      this.duration.remove(labels);
    }
    this.seen.delete(uid);
  }
}

function labelsOf({ type, container, pod, namespace }: ProbeObservation) {
  return { probe_type: type, container, pod, namespace };
}
