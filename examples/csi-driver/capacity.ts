import type { CSIStorageCapacity, StorageClass } from '@naru/api';
import { csi } from '@naru/proto';
import { classesPath, list, type ControllerDeps, type ControllerLoop } from './controller-loop';
import { ApiError } from './kube-api';
import { topologyKey } from './services';

const namespace = 'kube-system';
const path = `/apis/storage.k8s.io/v1/namespaces/${namespace}/csistoragecapacities`;
const gibibyte = 1n << 30n;

/** What else external-provisioner does: says how much room this node has for volumes of each class, in whole GiB. */
export class CapacityPublisher implements ControllerLoop {
  readonly watched = [classesPath];

  constructor(private readonly deps: ControllerDeps) {}

  async reconcile(): Promise<void> {
    const { api, name, controller } = this.deps;
    const classes = await list<StorageClass>(api, classesPath);
    for (const { metadata, provisioner, parameters } of classes) {
      if (provisioner !== name) continue;
      const request = csi.GetCapacityRequest.fromPartial({ parameters: parameters ?? {} });
      const { availableCapacity } = await controller.call<csi.GetCapacityResponse>('getCapacity', request);
      await this.publish(metadata?.name ?? '', `${availableCapacity / gibibyte}Gi`);
    }
  }

  private async publish(storageClassName: string, capacity: string): Promise<void> {
    const { api, name, nodeName, pod } = this.deps;
    const own = `${storageClassName}-${nodeName}`;
    try {
      const known = await api.request<CSIStorageCapacity>('GET', `${path}/${own}`);
      if (known.capacity !== capacity) await api.request('PATCH', `${path}/${own}`, { capacity });
    } catch (error) {
      if (!(error instanceof ApiError) || error.code !== 404) throw error;
      // It goes with the driver.
      const ownerReferences = [{ apiVersion: 'v1', kind: 'Pod', ...pod }];
      const nodeTopology = { matchLabels: { [topologyKey(name)]: nodeName } };
      const metadata = { name: own, namespace, ownerReferences };
      await api.request('POST', path, { metadata, storageClassName, nodeTopology, capacity });
    }
  }
}
