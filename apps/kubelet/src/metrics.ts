import { Gauge, type Registry } from 'prom-client';
import type { PodWorkers } from './pods/pod-workers';

/** Upstream's metrics of the kubelet, read when they are scraped. */
export function registerKubeletMetrics(registry: Registry, workers: PodWorkers): void {
  new Gauge({
    name: 'kubelet_running_pods',
    help: 'Number of pods that have a running pod sandbox',
    registers: [registry],
    collect() {
      this.set(workers.list().filter(({ lastRuntime }) => lastRuntime.sandboxes.some(({ ready }) => ready)).length);
    },
  });
  new Gauge({
    name: 'kubelet_running_containers',
    help: 'Number of containers currently running',
    labelNames: ['container_state'],
    registers: [registry],
    collect() {
      this.reset();
      for (const { lastRuntime } of workers.list()) {
        for (const { phase } of lastRuntime.containers) this.inc({ container_state: phase });
      }
    },
  });
  new Gauge({
    name: 'kubelet_desired_pods',
    help: 'The number of pods the kubelet is being instructed to run',
    registers: [registry],
    collect() {
      this.set(workers.list().length);
    },
  });
}
