import fs from 'node:fs';
import os from 'node:os';
import type { Pod } from '@naru/api';
import { containerCgroup } from '../cgroups/cgroup-driver';
import type { CgroupTree } from '../cgroups/cgroup-tree';
import { CgroupUsage, type CgroupDetails, type CgroupFigures } from '../cgroups/cgroup-usage';
import type { MachineReading } from '../node/machine';
import type { ContainerRecord } from '../pods/runtime-state';
import { Exposition, type Labels } from './exposition';

/** A cgroup that is reported, with what it belongs to. */
interface Subject {
  labels: Labels;
  cgroup: string;
  startedAtMs: number | undefined;
  figures: CgroupFigures & CgroupDetails;
}

interface Family {
  name: string;
  type: 'counter' | 'gauge';
  help: string;
  labels?: Labels;
  read: (subject: Subject) => number | undefined;
}

const counter = (name: string, help: string, read: Family['read'], labels: Labels = {}): Family => ({
  ...{ name: `container_${name}`, type: 'counter', help, read, labels },
});
const gauge = (name: string, help: string, read: Family['read']): Family => ({
  ...{ name: `container_${name}`, type: 'gauge', help, read },
});

/** Names and meanings as cAdvisor has them. */
const families: readonly Family[] = [
  counter(
    'cpu_usage_seconds_total',
    'Cumulative cpu time consumed in seconds.',
    ({ figures }) => figures.cpuNanoSeconds / 1e9,
    { cpu: 'total' },
  ),
  counter(
    'cpu_user_seconds_total',
    'Cumulative user cpu time consumed in seconds.',
    ({ figures }) => figures.userNanoSeconds / 1e9,
  ),
  counter(
    'cpu_system_seconds_total',
    'Cumulative system cpu time consumed in seconds.',
    ({ figures }) => figures.systemNanoSeconds / 1e9,
  ),
  counter('cpu_cfs_periods_total', 'Number of elapsed enforcement period intervals.', ({ figures }) => figures.periods),
  counter(
    'cpu_cfs_throttled_periods_total',
    'Number of throttled period intervals.',
    ({ figures }) => figures.throttledPeriods,
  ),
  counter(
    'cpu_cfs_throttled_seconds_total',
    'Total time duration the container has been throttled.',
    ({ figures }) => figures.throttledNanoSeconds / 1e9,
  ),
  gauge(
    'memory_usage_bytes',
    'Current memory usage in bytes, including all memory regardless of when it was accessed',
    ({ figures }) => figures.memoryBytes,
  ),
  gauge('memory_working_set_bytes', 'Current working set in bytes.', ({ figures }) => figures.workingSetBytes),
  gauge('memory_rss', 'Size of RSS in bytes.', ({ figures }) => figures.rssBytes),
  gauge('memory_cache', 'Number of bytes of page cache memory.', ({ figures }) => figures.cacheBytes),
  gauge('memory_swap', 'Container swap usage in bytes.', ({ figures }) => figures.swapBytes),
  gauge('memory_max_usage_bytes', 'Maximum memory usage recorded in bytes', ({ figures }) => figures.peakBytes),
  counter('memory_failcnt', 'Number of memory usage hits limits', ({ figures }) => figures.limitHits),
  counter(
    'oom_events_total',
    'Count of out of memory events observed for the container',
    ({ figures }) => figures.oomKills,
  ),
  gauge('spec_memory_limit_bytes', 'Memory limit for the container.', ({ figures }) => figures.memoryLimitBytes ?? 0),
  gauge('processes', 'Number of processes running inside the container.', ({ figures }) => figures.processes),
  gauge('start_time_seconds', 'Start time of the container since unix epoch in seconds.', ({ startedAtMs }) =>
    startedAtMs === undefined ? undefined : startedAtMs / 1000,
  ),
  gauge('last_seen', 'Last time a container was seen by the exporter', () => Math.round(Date.now() / 1000)),
];

/** Columns of /proc/PID/net/dev. */
const networkFamilies = [
  ['receive_bytes_total', 'Cumulative count of bytes received', 0],
  ['receive_packets_total', 'Cumulative count of packets received', 1],
  ['receive_errors_total', 'Cumulative count of errors encountered while receiving', 2],
  ['receive_packets_dropped_total', 'Cumulative count of packets dropped while receiving', 3],
  ['transmit_bytes_total', 'Cumulative count of bytes transmitted', 8],
  ['transmit_packets_total', 'Cumulative count of packets transmitted', 9],
  ['transmit_errors_total', 'Cumulative count of errors encountered while transmitting', 10],
  ['transmit_packets_dropped_total', 'Cumulative count of packets dropped while transmitting', 11],
] as const;

export interface ReportedPod {
  pod: Pod;
  cgroup: string;
  containers: readonly ContainerRecord[];
  /** True when its network is the node's, whose counters are not the pod's. */
  hostNetwork: boolean;
}

/** /metrics/cadvisor, from the cgroups themselves: every runtime puts a container below its pod. */
export class CadvisorMetrics {
  private readonly usage: CgroupUsage;

  constructor(
    private readonly deps: {
      tree: CgroupTree;
      usage: CgroupUsage;
      pods: () => readonly ReportedPod[];
      machine: MachineReading;
    },
  ) {
    this.usage = deps.usage;
  }

  text(): string {
    const text = new Exposition();
    const pods = this.deps.pods();
    const subjects = [...this.node(), ...pods.flatMap(pod => this.subjects(pod))];
    for (const { name, type, help, labels = {}, read } of families) {
      const sample = text.family(name, type, help);
      for (const subject of subjects) {
        const value = read(subject);
        if (value !== undefined && Number.isFinite(value)) sample({ ...subject.labels, ...labels }, value);
      }
    }
    const networks = pods.flatMap(pod => this.network(pod));
    for (const [name, help, column] of networkFamilies) {
      const sample = text.family(`container_network_${name}`, 'counter', help);
      for (const { labels, columns } of networks) sample(labels, columns[column] ?? 0);
    }
    text.family('machine_cpu_cores', 'gauge', 'Number of logical CPU cores.')({}, this.deps.machine.cores);
    text.family(
      'machine_memory_bytes',
      'gauge',
      'Amount of memory installed on the machine.',
    )({}, this.deps.machine.memoryBytes);
    const versions = {
      kernelVersion: os.release(),
      osVersion: os.version(),
      cadvisorVersion: '',
      cadvisorRevision: '',
      dockerVersion: '',
    };
    text.family('cadvisor_version_info', 'gauge', 'A metric with a constant 1 value labeled by versions.')(versions, 1);
    text.family(
      'container_scrape_error',
      'gauge',
      '1 if there was an error while getting container metrics, 0 otherwise',
    )({}, 0);
    return text.toString();
  }

  private node(): Subject[] {
    const figures = this.usage.details('/');
    const labels = { container: '', id: '/', image: '', name: '', namespace: '', pod: '' };
    return figures ? [{ labels, cgroup: '/', startedAtMs: undefined, figures }] : [];
  }

  private subjects({ pod, cgroup, containers }: ReportedPod): Subject[] {
    const of = { namespace: pod.metadata?.namespace ?? '', pod: pod.metadata?.name ?? '' };
    const subject = (labels: Labels, at: string, startedAtMs: number | undefined): Subject[] => {
      const figures = this.usage.details(at);
      return figures ? [{ labels: { ...labels, ...of }, cgroup: at, startedAtMs, figures }] : [];
    };
    const started = pod.status?.startTime ? Date.parse(pod.status.startTime) : undefined;
    const all = [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? [])];
    return [
      ...subject({ container: '', id: cgroup, image: '', name: '' }, cgroup, started),
      ...containers
        .filter(({ phase }) => phase === 'running')
        .flatMap(({ id, name, startedAt }) => {
          const image = all.find(each => each.name === name)?.image ?? '';
          const at = containerCgroup(this.deps.tree, cgroup, id);
          return subject({ container: name, id: at, image, name: id }, at, startedAt);
        }),
    ];
  }

  private network({ pod, cgroup, containers, hostNetwork }: ReportedPod): { labels: Labels; columns: number[] }[] {
    const running = containers.find(({ phase }) => phase === 'running');
    if (hostNetwork || !running) return [];
    const [pid] = this.deps.tree.processes(containerCgroup(this.deps.tree, cgroup, running.id));
    if (pid === undefined) return [];
    let table: string;
    try {
      table = fs.readFileSync(`/proc/${pid}/net/dev`, 'utf8');
    } catch {
      return []; // it has just ended
    }
    const of = { namespace: pod.metadata?.namespace ?? '', pod: pod.metadata?.name ?? '' };
    return table
      .split('\n')
      .slice(2)
      .filter(line => line.includes(':'))
      .map(line => {
        const [name = '', rest = ''] = line.split(':');
        const labels = { container: '', id: cgroup, image: '', interface: name.trim(), name: '', ...of };
        return { labels, columns: rest.trim().split(/\s+/).map(Number) };
      })
      .filter(({ labels }) => labels.interface !== 'lo');
  }
}
