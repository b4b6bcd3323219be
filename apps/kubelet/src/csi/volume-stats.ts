import { csi } from '@naru/proto';
import { BoundedMap, formatTime, type Clock } from '@naru/foundation';
import type { FsStats } from '../stats/summary-types';
import { nodeCapabilities } from './csi-driver';
import type { CsiDrivers } from './csi-drivers';
import { readVolumeData, type VolumeData } from './volume-data';

export interface CsiVolumeStatsDeps {
  drivers: CsiDrivers;
  clock: Clock;
  /** How long an answer is good for. */
  maxAgeMs: number;
}

interface Entry {
  stats: FsStats | undefined;
  /** When the driver was last asked. */
  askedAt: number;
  asking: boolean;
}

const maxEntries = 2_048;

/** What CSI drivers say of the volumes here. Nobody waits for a driver: what it said last is given until it has answered. */
export class CsiVolumeStats {
  /** By the directory of the pod's volume. */
  private readonly entries = new BoundedMap<string, Entry>(maxEntries);

  constructor(private readonly deps: CsiVolumeStatsDeps) {}

  /** Undefined while nothing is known, which is for ever of a driver that does not measure. */
  get(directory: string): FsStats | undefined {
    const now = this.deps.clock.now();
    const entry = this.entries.get(directory) ?? { stats: undefined, askedAt: -Infinity, asking: false };
    if (!entry.asking && now - entry.askedAt >= this.deps.maxAgeMs) {
      entry.asking = true;
      entry.askedAt = now;
      // The one that was looked at longest ago makes room.
      this.entries.set(directory, entry);
      void this.ask(directory)
        .catch(() => undefined)
        .then(stats => Object.assign(entry, { stats, asking: false }));
    }
    return entry.stats;
  }

  private async ask(directory: string): Promise<FsStats | undefined> {
    const data = await readVolumeData(directory);
    return data && this.measure(data);
  }

  private async measure({ driverName, volumeHandle, targetPath }: VolumeData): Promise<FsStats | undefined> {
    const driver = this.deps.drivers.get(driverName);
    if (!driver.can(nodeCapabilities.GET_VOLUME_STATS)) return undefined;
    const { usage } = await driver.stats({ volumeId: volumeHandle, volumePath: targetPath });
    const { BYTES, INODES } = csi.VolumeUsage_Unit;
    const bytes = usage.find(({ unit }) => unit === BYTES);
    const inodes = usage.find(({ unit }) => unit === INODES);
    return {
      time: formatTime(this.deps.clock.now()),
      ...(bytes
        ? {
            availableBytes: Number(bytes.available),
            capacityBytes: Number(bytes.total),
            usedBytes: Number(bytes.used),
          }
        : {}),
      ...(inodes
        ? { inodesFree: Number(inodes.available), inodes: Number(inodes.total), inodesUsed: Number(inodes.used) }
        : {}),
    };
  }
}
