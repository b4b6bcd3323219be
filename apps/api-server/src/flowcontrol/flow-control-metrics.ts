import { Counter, Gauge, type Registry } from 'prom-client';
import type { PriorityLevel } from './priority-level';

/** Upstream's metrics of priority and fairness, under upstream's names. */
export class FlowControlMetrics {
  private readonly dispatchedTotal: Counter;
  private readonly rejectedTotal: Counter;
  private readonly counts = new Map<string, () => void>();

  constructor(registry: Registry, levels: () => Iterable<PriorityLevel>) {
    const registers = [registry];
    this.dispatchedTotal = new Counter({
      name: 'apiserver_flowcontrol_dispatched_requests_total',
      help: 'Number of requests executed by API Priority and Fairness subsystem.',
      labelNames: ['priority_level', 'flow_schema'],
      registers,
    });
    this.rejectedTotal = new Counter({
      name: 'apiserver_flowcontrol_rejected_requests_total',
      help: 'Number of requests rejected by API Priority and Fairness subsystem.',
      labelNames: ['priority_level', 'flow_schema', 'reason'],
      registers,
    });
    const gauge = (name: string, help: string, read: (level: PriorityLevel) => number): void => {
      new Gauge({
        name,
        help,
        labelNames: ['priority_level'],
        registers,
        collect() {
          this.reset();
          for (const level of levels()) this.set({ priority_level: level.name }, read(level));
        },
      });
    };
    gauge('apiserver_flowcontrol_current_inqueue_requests', 'Number of requests pending in queues.', l => l.waiting);
    gauge('apiserver_flowcontrol_current_executing_requests', 'Number of requests being served.', l => l.executing);
    gauge('apiserver_flowcontrol_nominal_limit_seats', 'Nominal number of execution seats.', l => l.nominal);
  }

  /** Label lookups are kept: they cost more than the counting. */
  dispatched(level: string, schema: string): void {
    const key = `${level}|${schema}`;
    let count = this.counts.get(key);
    if (!count) {
      const child = this.dispatchedTotal.labels({ priority_level: level, flow_schema: schema });
      this.counts.set(key, (count = () => child.inc()));
    }
    count();
  }

  rejected(level: string, schema: string, reason: string): void {
    this.rejectedTotal.inc({ priority_level: level, flow_schema: schema, reason });
  }
}
