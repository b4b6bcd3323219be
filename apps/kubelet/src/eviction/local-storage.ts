import { podQuantities, quantityValue, type Pod } from '@naru/api';
import type { PodStats } from '../stats/summary-types';

/** True for a pod that may take only so much of the disk. */
export function hasStorageLimit(pod: Pod): boolean {
  const { volumes = [], containers: all = [] } = pod.spec ?? {};
  return (
    volumes.some(({ emptyDir }) => emptyDir?.sizeLimit !== undefined) ||
    all.some(({ resources }) => resources?.limits?.['ephemeral-storage'] !== undefined)
  );
}

/** Why a pod that took more of the disk than it may has to go; undefined when it keeps to its limits. Source: localStorageEviction. */
export function storageLimitExceeded(
  pod: Pod,
  stats: PodStats,
  dedicatedImageFs: boolean,
): { signal: string; message: string } | undefined {
  return emptyDirs(pod, stats) ?? wholePod(pod, stats) ?? containers(pod, stats, dedicatedImageFs);
}

function emptyDirs(pod: Pod, stats: PodStats): { signal: string; message: string } | undefined {
  for (const { name, emptyDir } of pod.spec?.volumes ?? []) {
    const limit = emptyDir?.sizeLimit;
    const used = stats.volume?.find(volume => volume.name === name)?.usedBytes;
    if (limit === undefined || used === undefined || quantityValue(limit) <= 0) continue;
    if (used > quantityValue(limit)) {
      return {
        signal: 'emptydirfs.limit',
        message: `Usage of EmptyDir volume "${name}" exceeds the limit "${limit}". `,
      };
    }
  }
  return undefined;
}

function wholePod(pod: Pod, stats: PodStats): { signal: string; message: string } | undefined {
  const limit = podQuantities(pod, 'limits').get('ephemeral-storage')?.toString();
  const used = stats['ephemeral-storage']?.usedBytes ?? 0;
  if (limit === undefined || used <= quantityValue(limit)) return undefined;
  return {
    signal: 'ephemeralpodfs.limit',
    message: `Pod ephemeral local storage usage exceeds the total limit of containers ${limit}. `,
  };
}

function containers(
  pod: Pod,
  stats: PodStats,
  dedicatedImageFs: boolean,
): { signal: string; message: string } | undefined {
  for (const { name, logs, rootfs } of stats.containers) {
    const limit = pod.spec?.containers.find(each => each.name === name)?.resources?.limits?.['ephemeral-storage'];
    if (limit === undefined || quantityValue(limit) === 0) continue;
    const used = (logs?.usedBytes ?? 0) + (dedicatedImageFs ? 0 : (rootfs?.usedBytes ?? 0));
    if (used > quantityValue(limit)) {
      return {
        signal: 'ephemeralcontainerfs.limit',
        message: `Container ${name} exceeded its local ephemeral storage limit "${limit}". `,
      };
    }
  }
  return undefined;
}
