import { parseNano } from '@naru/api';
import { deviceId, type OfferedDevice } from './device-view';
import type { Offers } from './offers';

/** What devices that share hardware may still take of it: partitions of one card cannot all be given out. */
export class SharedCounters {
  private readonly left = new Map<string, bigint>();

  constructor({ slices }: Offers, isTaken: (id: string) => boolean) {
    for (const { driver, pool, sharedCounters } of slices)
      for (const { name, counters } of sharedCounters ?? [])
        for (const [counter, { value }] of Object.entries(counters))
          this.left.set(`${deviceId(driver, pool.name, name)}/${counter}`, parseNano(value));
    for (const slice of slices)
      for (const device of slice.devices ?? []) {
        const id = deviceId(slice.driver, slice.pool.name, device.name);
        if (isTaken(id)) this.take({ id, device, slice });
      }
  }

  /** False, and nothing taken, when not enough is left. */
  take(offered: OfferedDevice): boolean {
    const taken = this.change(offered, -1n);
    if (!taken) this.give(offered);
    return taken;
  }

  give(offered: OfferedDevice): void {
    this.change(offered, 1n);
  }

  private change({ device, slice }: OfferedDevice, sign: bigint): boolean {
    let isEnough = true;
    for (const { counterSet, counters } of device.consumesCounters ?? [])
      for (const [counter, { value }] of Object.entries(counters)) {
        const key = `${deviceId(slice.driver, slice.pool.name, counterSet)}/${counter}`;
        const left = (this.left.get(key) ?? 0n) + sign * parseNano(value);
        this.left.set(key, left);
        isEnough &&= left >= 0n;
      }
    return isEnough;
  }
}
