import type { ContainerStatus } from '@naru/api';
import { BoundedMap, type Clock } from '@naru/foundation';
import { drahealth } from '@naru/proto';

/** What the status of a container tells of its devices. */
export type DeviceHealth = NonNullable<ContainerStatus['allocatedResourcesStatus']>;

/** The health of one device; `message` only where its driver gives one. */
export interface Health {
  health: 'Healthy' | 'Unhealthy' | 'Unknown';
  message?: string;
}

export interface DeviceId {
  driver: string;
  pool: string;
  device: string;
}

interface Told extends Health {
  /** Milliseconds since the epoch: then it does not hold any more. */
  until: number;
}

export interface DriverHealthDeps {
  clock: Clock;
  /** Of these devices of the driver other things are known than before. */
  onChange: (driver: string, isConcerned: (id: DeviceId) => boolean) => void;
}

const defaultTimeoutMs = 30_000;
/** A driver may give its word for years. */
const maxTimerMs = 3_600_000;
const maxMessageLength = 1024;
/** Of one driver; of more than these the ones that were told of longest ago are not known. */
const maxDevices = 4_096;
const unknown: Health = { health: 'Unknown' };

/** What drivers say of their devices, for as long as it holds. Source: kubelet/cm/dra/healthinfo.go. */
export class DriverHealth {
  /** Driver → device → what was told. */
  private readonly drivers = new Map<string, BoundedMap<string, Told>>();
  private readonly timers = new Map<string, () => void>();

  constructor(private readonly deps: DriverHealthDeps) {}

  of(id: DeviceId): Health {
    const told = this.drivers.get(id.driver)?.get(keyOf(id));
    if (!told || this.deps.clock.now() > told.until) return unknown;
    const { health, message } = told;
    return { health, ...(message ? { message } : {}) };
  }

  /** What a driver tells now; of devices that it leaves out the last word holds until its time is over. */
  take(driver: string, devices: readonly drahealth.DeviceHealth[]): void {
    const known = this.drivers.get(driver) ?? new BoundedMap<string, Told>(maxDevices);
    this.drivers.set(driver, known);
    const changed = new Set<string>();
    for (const told of devices) {
      const id = { driver, pool: told.device?.poolName ?? '', device: told.device?.deviceName ?? '' };
      const before = this.of(id);
      const next = this.toldBy(told);
      known.set(keyOf(id), next);
      if (before.health !== next.health || before.message !== next.message) changed.add(keyOf(id));
    }
    this.watchTime(driver);
    this.tell(driver, changed);
  }

  /** The driver says nothing any more. */
  clear(driver: string): void {
    const known = this.drivers.get(driver);
    this.drivers.delete(driver);
    this.timers.get(driver)?.();
    this.timers.delete(driver);
    if (known) this.tell(driver, new Set(known.keys()));
  }

  stop(): void {
    for (const cancel of this.timers.values()) cancel();
    this.timers.clear();
  }

  private toldBy({ health, message, healthCheckTimeoutSeconds }: drahealth.DeviceHealth): Told {
    const timeoutMs = healthCheckTimeoutSeconds > 0n ? Number(healthCheckTimeoutSeconds) * 1000 : defaultTimeoutMs;
    return {
      health: names[health] ?? 'Unknown',
      ...(message ? { message: shortened(message) } : {}),
      until: this.deps.clock.now() + timeoutMs,
    };
  }

  /** When the time of a word is over, the pods are to show it. */
  private watchTime(driver: string): void {
    this.timers.get(driver)?.();
    this.timers.delete(driver);
    const known = this.drivers.get(driver);
    const now = this.deps.clock.now();
    const ahead = [...(known?.values() ?? [])].map(({ until }) => until).filter(until => until >= now);
    if (ahead.length === 0) return;
    const next = Math.min(...ahead);
    const over = (): void => {
      const nowMs = this.deps.clock.now();
      const ended = [...(known ?? [])].filter(([, { until }]) => until >= next && until < nowMs).map(([key]) => key);
      this.watchTime(driver);
      this.tell(driver, new Set(ended));
    };
    this.timers.set(driver, this.deps.clock.after(Math.min(next - now + 1, maxTimerMs), over));
  }

  private tell(driver: string, keys: ReadonlySet<string>): void {
    if (keys.size > 0) this.deps.onChange(driver, id => keys.has(keyOf(id)));
  }
}

const names: Partial<Record<drahealth.HealthStatus, Health['health']>> = {
  [drahealth.HealthStatus.HEALTHY]: 'Healthy',
  [drahealth.HealthStatus.UNHEALTHY]: 'Unhealthy',
};

const keyOf = ({ pool, device }: DeviceId): string => `${pool}/${device}`;

function shortened(message: string): string {
  return message.length <= maxMessageLength ? message : `${message.slice(0, maxMessageLength - 3)}...`;
}
