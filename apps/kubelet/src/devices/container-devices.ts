import path from 'node:path';
import type { Container, Pod } from '@naru/api';
import { ClaimDevices, type ClaimDevicesDeps } from './claim-devices';
import type { DeviceHealth } from './device-health';
import { DeviceManager, type DeviceGrant, type DeviceManagerDeps } from './device-manager';

export interface ContainerDevicesDeps
  extends Omit<DeviceManagerDeps, 'directory'>, Omit<ClaimDevicesDeps, 'directory'> {
  rootDir: string;
}

/** The devices that containers can have: those that device plugins count, and those of ResourceClaims. */
export class ContainerDevices {
  readonly plugins: DeviceManager;
  readonly claims: ClaimDevices;

  constructor({ rootDir, ...deps }: ContainerDevicesDeps) {
    this.plugins = new DeviceManager({ ...deps, directory: path.join(rootDir, 'device-plugins') });
    this.claims = new ClaimDevices({ ...deps, directory: rootDir });
  }

  start(): Promise<void> {
    return this.plugins.start();
  }

  stop(): void {
    this.plugins.stop();
    this.claims.stop();
  }

  /** What a container is to be given. Throws when there are too few devices. */
  async allocate(pod: Pod, container: Container): Promise<DeviceGrant> {
    const grant = await this.plugins.allocate(pod, container);
    return { ...grant, cdiDevices: [...grant.cdiDevices, ...this.claims.cdiDevices(pod, container)] };
  }

  /** Whether the devices of a container work: `allocatedResourcesStatus`. */
  health(pod: Pod, container: Container): DeviceHealth {
    const own = this.plugins.health(pod.metadata?.uid ?? '', container.name);
    return [...own, ...this.claims.health(pod, container)];
  }

  /** Nothing of the pod runs any more. */
  release(uid: string): void {
    this.plugins.release(uid);
    this.claims.release(uid);
  }
}
