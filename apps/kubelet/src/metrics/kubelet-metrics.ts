import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { CriCall } from '../cri/cri-client';
import type { PodWorkers } from '../pods/pod-workers';

const podStartBuckets = [
  0.05, 0.1, 0.25, 0.5, 1, 2, 3, 4, 5, 6, 8, 10, 20, 30, 45, 60, 120, 180, 240, 300, 360, 480, 600,
];
const operationBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120];
const pullBuckets = [1, 5, 10, 20, 30, 60, 180, 300, 600, 900, 1200, 1800, 2700, 3600];
const storageBuckets = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 25, 50, 120, 300, 600];

const mib = 1 << 20;
const sizeClasses: readonly (readonly [number, string])[] = [
  [10 * mib, '0-10MB'],
  [100 * mib, '10MB-100MB'],
  [500 * mib, '100MB-500MB'],
  [1024 * mib, '500MB-1GB'],
  [5 * 1024 * mib, '1GB-5GB'],
  [10 * 1024 * mib, '5GB-10GB'],
  [20 * 1024 * mib, '10GB-20GB'],
  [30 * 1024 * mib, '20GB-30GB'],
  [40 * 1024 * mib, '30GB-40GB'],
  [60 * 1024 * mib, '40GB-60GB'],
  [100 * 1024 * mib, '60GB-100GB'],
];

/** The label by which upstream classes images. */
export function imageSizeClass(bytes: number): string {
  return sizeClasses.find(([limit]) => bytes <= limit)?.[1] ?? 'GT100GB';
}

/** Upstream's names of operations: run_podsandbox, create_container. */
function operationType(method: string): string {
  return method
    .replace('updateContainerResources', 'updateContainer')
    .replace('PodSandboxes', 'Podsandbox')
    .replace('PodSandbox', 'Podsandbox')
    .replace('podSandbox', 'podsandbox')
    .replace(/[A-Z]/g, letter => `_${letter.toLowerCase()}`);
}

/** Upstream's metrics of the kubelet, by upstream's names. Source: pkg/kubelet/metrics/metrics.go. */
export class KubeletMetrics {
  readonly podsStarted;
  readonly podStartErrors;
  readonly podsRestarted;
  readonly containersStarted;
  readonly containerStartErrors;
  readonly podStartSeconds;
  readonly podWorkerSeconds;
  readonly runtimeOperations;
  readonly runtimeErrors;
  readonly runtimeSeconds;
  readonly sandboxSeconds;
  readonly sandboxErrors;
  readonly pullSeconds;
  readonly evictions;
  readonly preemptions;
  readonly imagesCollected;
  readonly storageSeconds;
  readonly httpRequests;
  readonly httpSeconds;

  constructor(readonly registry: Registry) {
    const registers = [registry];
    const counter = <L extends string>(name: string, help: string, ...labelNames: L[]): Counter<L> =>
      new Counter({ name, help, labelNames, registers });
    const histogram = <L extends string>(
      name: string,
      help: string,
      buckets: number[],
      ...labelNames: L[]
    ): Histogram<L> => new Histogram({ name, help, buckets, labelNames, registers });
    this.podsStarted = counter('kubelet_started_pods_total', 'Cumulative number of pods started');
    this.podStartErrors = counter(
      'kubelet_started_pods_errors_total',
      'Cumulative number of errors when starting pods',
    );
    this.podsRestarted = counter(
      'kubelet_restarted_pods_total',
      'Number of pods that have been restarted because they were deleted and recreated with the same UID while the kubelet was watching them',
      'static',
    );
    this.containersStarted = counter(
      'kubelet_started_containers_total',
      'Cumulative number of containers started',
      'container_type',
    );
    this.containerStartErrors = counter(
      'kubelet_started_containers_errors_total',
      'Cumulative number of errors when starting containers',
      ...(['container_type', 'code'] as const),
    );
    this.podStartSeconds = histogram(
      'kubelet_pod_start_duration_seconds',
      'Duration in seconds from kubelet seeing a pod for the first time to the pod starting to run',
      podStartBuckets,
    );
    this.podWorkerSeconds = histogram(
      'kubelet_pod_worker_duration_seconds',
      'Duration in seconds to sync a single pod. Broken down by operation type: create, update, or sync',
      operationBuckets,
      'operation_type',
    );
    this.runtimeOperations = counter(
      'kubelet_runtime_operations_total',
      'Cumulative number of runtime operations by operation type.',
      'operation_type',
    );
    this.runtimeErrors = counter(
      'kubelet_runtime_operations_errors_total',
      'Cumulative number of runtime operation errors by operation type.',
      'operation_type',
    );
    this.runtimeSeconds = histogram(
      'kubelet_runtime_operations_duration_seconds',
      'Duration in seconds of runtime operations. Broken down by operation type.',
      operationBuckets,
      'operation_type',
    );
    this.sandboxSeconds = histogram(
      'kubelet_run_podsandbox_duration_seconds',
      'Duration in seconds of the run_podsandbox operations. Broken down by RuntimeClass.Handler.',
      operationBuckets,
      'runtime_handler',
    );
    this.sandboxErrors = counter(
      'kubelet_run_podsandbox_errors_total',
      'Cumulative number of the run_podsandbox operation errors by RuntimeClass.Handler.',
      'runtime_handler',
    );
    this.pullSeconds = histogram(
      'kubelet_image_pull_duration_seconds',
      'Duration in seconds to pull an image.',
      pullBuckets,
      'image_size_in_bytes',
    );
    this.evictions = counter(
      'kubelet_evictions',
      'Cumulative number of pod evictions by eviction signal',
      'eviction_signal',
    );
    this.preemptions = counter(
      'kubelet_preemptions',
      'Cumulative number of pod preemptions by preemption resource',
      'preemption_signal',
    );
    this.imagesCollected = counter(
      'kubelet_image_garbage_collected_total',
      'Total number of images garbage collected by the kubelet, whether through disk usage or image age.',
      'reason',
    );
    this.storageSeconds = histogram(
      'storage_operation_duration_seconds',
      'Storage operation duration',
      storageBuckets,
      ...(['volume_plugin', 'operation_name', 'status', 'migrated'] as const),
    );
    this.httpRequests = counter(
      'kubelet_http_requests_total',
      'Number of the http requests received since the server started',
      ...(['method', 'path', 'server_type', 'long_running'] as const),
    );
    this.httpSeconds = histogram(
      'kubelet_http_requests_duration_seconds',
      'Duration in seconds to serve http requests',
      operationBuckets,
      ...(['method', 'path', 'server_type', 'long_running'] as const),
    );
  }

  /** Counts a call to the runtime under upstream's name for it. */
  noteCall({ method, seconds, failed }: CriCall): void {
    const operation_type = operationType(method);
    this.runtimeOperations.inc({ operation_type });
    this.runtimeSeconds.observe({ operation_type }, seconds);
    if (failed) this.runtimeErrors.inc({ operation_type });
  }

  /** Those that are read when they are scraped. */
  watch(workers: PodWorkers, nodeName: string, isStatic: (uid: string) => boolean): void {
    const registers = [this.registry];
    const gauge = (name: string, help: string, labelNames: string[], collect: (gauge: Gauge) => void): void => {
      new Gauge({
        ...{ name, help, labelNames, registers },
        collect() {
          this.reset();
          collect(this);
        },
      });
    };
    gauge('kubelet_node_name', "The node's name. The count is always 1.", ['node'], each =>
      each.set({ node: nodeName }, 1),
    );
    gauge('kubelet_running_pods', 'Number of pods that have a running pod sandbox', [], each =>
      each.set(workers.list().filter(({ lastRuntime }) => lastRuntime.sandboxes.some(({ ready }) => ready)).length),
    );
    gauge('kubelet_running_containers', 'Number of containers currently running', ['container_state'], each => {
      for (const { lastRuntime } of workers.list()) {
        for (const { phase } of lastRuntime.containers) each.inc({ container_state: phase });
      }
    });
    const byOrigin = (each: Gauge, wanted: (worker: ReturnType<PodWorkers['list']>[number]) => boolean): void => {
      each.set({ static: '' }, 0);
      for (const worker of workers.list()) if (wanted(worker)) each.inc({ static: isStatic(worker.uid) ? 'true' : '' });
    };
    gauge('kubelet_desired_pods', 'The number of pods the kubelet is being instructed to run', ['static'], each =>
      byOrigin(each, () => true),
    );
    gauge(
      'kubelet_active_pods',
      'The number of pods the kubelet considers active and which are being considered when admitting new pods',
      ['static'],
      each => byOrigin(each, ({ usesResources }) => usesResources),
    );
  }
}
