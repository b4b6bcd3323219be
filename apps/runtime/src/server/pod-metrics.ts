import { cri } from '@naru/proto';
import type { ContainerRecord } from '../containers/container-record';
import type { SandboxRecord } from '../sandboxes/sandbox-record';
import type { Usage } from './usage';

/** Of a container, or of a sandbox as a whole, whose container name is empty. */
interface Subject {
  labels: string[];
  cpu: cri.CpuUsage | undefined;
  memory: cri.MemoryUsage | undefined;
  network: cri.NetworkInterfaceUsage | undefined;
  processes: bigint | undefined;
}

const { COUNTER, GAUGE } = cri.MetricType;
const labelKeys = ['id', 'name', 'namespace', 'pod', 'container'];

/** cAdvisor's names. A value is a whole number, so seconds are whole seconds. */
const metrics: { name: string; help: string; type: cri.MetricType; read: (subject: Subject) => bigint | undefined }[] =
  [
    {
      name: 'container_cpu_usage_seconds_total',
      help: 'Cumulative cpu time consumed in seconds.',
      type: COUNTER,
      read: ({ cpu }) => cpu?.usageCoreNanoSeconds && cpu.usageCoreNanoSeconds.value / 1_000_000_000n,
    },
    {
      name: 'container_memory_working_set_bytes',
      help: 'Current working set in bytes.',
      type: GAUGE,
      read: ({ memory }) => memory?.workingSetBytes?.value,
    },
    {
      name: 'container_memory_usage_bytes',
      help: 'Current memory usage in bytes, including all memory regardless of when it was accessed.',
      type: GAUGE,
      read: ({ memory }) => memory?.usageBytes?.value,
    },
    {
      name: 'container_memory_rss',
      help: 'Size of RSS in bytes.',
      type: GAUGE,
      read: ({ memory }) => memory?.rssBytes?.value,
    },
    {
      name: 'container_processes',
      help: 'Number of processes running inside the container.',
      type: GAUGE,
      read: ({ processes }) => processes,
    },
    {
      name: 'container_network_receive_bytes_total',
      help: 'Cumulative count of bytes received.',
      type: COUNTER,
      read: ({ network }) => network?.rxBytes?.value,
    },
    {
      name: 'container_network_transmit_bytes_total',
      help: 'Cumulative count of bytes transmitted.',
      type: COUNTER,
      read: ({ network }) => network?.txBytes?.value,
    },
  ];

/** Every metric that `podMetrics` may contain. */
export const metricDescriptors: cri.MetricDescriptor[] = metrics.map(({ name, help }) => ({ name, help, labelKeys }));

function read(subject: Subject): cri.Metric[] {
  return metrics.flatMap(({ name, type, read: figure }) => {
    const value = figure(subject);
    if (value === undefined) return [];
    return [{ name, timestamp: 0n, metricType: type, labelValues: subject.labels, value: { value } }];
  });
}

/** The metrics of a sandbox and of its running containers. */
export function podMetrics(
  usage: Usage,
  sandbox: SandboxRecord,
  containers: readonly ContainerRecord[],
): cri.PodSandboxMetrics {
  const { linux } = usage.sandbox(sandbox);
  const { name = '', namespace = '' } = sandbox.config.metadata ?? {};
  return {
    podSandboxId: sandbox.id,
    metrics: read({
      labels: [sandbox.id, '', namespace, name, ''],
      cpu: linux?.cpu,
      memory: linux?.memory,
      network: linux?.network?.defaultInterface,
      processes: linux?.process?.processCount?.value,
    }),
    containerMetrics: containers.map(container => {
      const { cpu, memory } = usage.container(container);
      const own = container.config.metadata?.name ?? '';
      const labels = [container.id, container.id, namespace, name, own];
      return {
        containerId: container.id,
        metrics: read({ labels, cpu, memory, network: undefined, processes: undefined }),
      };
    }),
  };
}
