import { Gauge, type Registry } from 'prom-client';
import type { SummaryProvider } from '../stats/summary';
import type { VolumeStats } from '../stats/summary-types';

const families: readonly { name: string; help: string; read: keyof VolumeStats }[] = [
  { name: 'capacity_bytes', help: 'Capacity in bytes of the volume', read: 'capacityBytes' },
  { name: 'available_bytes', help: 'Number of available bytes in the volume', read: 'availableBytes' },
  { name: 'used_bytes', help: 'Number of used bytes in the volume', read: 'usedBytes' },
  { name: 'inodes', help: 'Maximum number of inodes in the volume', read: 'inodes' },
  { name: 'inodes_free', help: 'Number of free inodes in the volume', read: 'inodesFree' },
  { name: 'inodes_used', help: 'Number of used inodes in the volume', read: 'inodesUsed' },
];

/** kubelet_volume_stats_*: how full the volumes of claims are. Source: pkg/kubelet/metrics/collectors/volume_stats.go. */
export function watchVolumes(registry: Registry, summary: Pick<SummaryProvider, 'get'>): void {
  const labelNames = ['namespace', 'persistentvolumeclaim'];
  for (const { name, help, read } of families) {
    new Gauge({
      ...{ name: `kubelet_volume_stats_${name}`, help, labelNames, registers: [registry] },
      async collect() {
        this.reset();
        const { pods } = await summary.get().catch(() => ({ pods: [] }));
        // A claim of several pods is one volume: whoever comes last says the same.
        for (const volume of pods.flatMap(pod => pod.volume ?? [])) {
          const value = volume[read];
          if (!volume.pvcRef || typeof value !== 'number') continue;
          this.set({ namespace: volume.pvcRef.namespace, persistentvolumeclaim: volume.pvcRef.name }, value);
        }
      },
    });
  }
}
