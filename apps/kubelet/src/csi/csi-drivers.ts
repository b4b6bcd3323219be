import type { Logger } from '@naru/foundation';
import { CsiDriver } from './csi-driver';
import type { CsiNodeObject } from './csi-node';

export interface CsiDriversDeps {
  node: CsiNodeObject;
  logger: Logger;
}

const prefix = 'unix://';

/** The CSI drivers that have registered on this node. */
export class CsiDrivers {
  private readonly drivers = new Map<string, CsiDriver>();

  constructor(private readonly deps: CsiDriversDeps) {}

  has(name: string): boolean {
    return this.drivers.has(name);
  }

  /** Throws, in upstream's words, for a driver that is not here. */
  get(name: string): CsiDriver {
    const driver = this.drivers.get(name);
    if (!driver)
      throw new Error(`kubernetes.io/csi: driver name ${name} not found in the list of registered CSI drivers`);
    return driver;
  }

  /** Takes a driver up, and says so in the CSINode. Throws what kept it from that. */
  async register(name: string, endpoint: string, versions: readonly string[]): Promise<void> {
    if (!versions.some(version => /^v?1\./.test(version))) {
      throw new Error(`none of the CSI versions reported by this driver are supported: ${versions.join(', ')}`);
    }
    const driver = new CsiDriver(name, endpoint.startsWith(prefix) ? endpoint.slice(prefix.length) : endpoint);
    try {
      const { nodeId, maxVolumesPerNode, accessibleTopology } = await driver.introduce();
      const segments = accessibleTopology?.segments ?? {};
      const count = Number(maxVolumesPerNode);
      await this.deps.node.add(
        {
          name,
          nodeID: nodeId,
          topologyKeys: Object.keys(segments).sort(),
          ...(count > 0 ? { allocatable: { count } } : {}),
        },
        segments,
      );
    } catch (error) {
      driver.close();
      throw error;
    }
    this.drivers.get(name)?.close();
    this.drivers.set(name, driver);
    this.deps.logger.info({ driver: name, endpoint }, 'CSI driver registered');
  }

  async deregister(name: string): Promise<void> {
    this.drivers.get(name)?.close();
    if (this.drivers.delete(name)) await this.deps.node.remove(name);
    this.deps.logger.info({ driver: name }, 'CSI driver gone');
  }

  close(): void {
    for (const driver of this.drivers.values()) driver.close();
    this.drivers.clear();
  }
}
