import { credentials } from '@grpc/grpc-js';
import { csi } from '@naru/proto';
import type { PersistentVolume, PersistentVolumeClaim, StorageClass } from '@naru/api';
import { quantityValue } from '@naru/api';
import { ApiError, type KubeApi } from './kube-api';
import { topologyKey } from './services';

export interface ProvisionerDeps {
  api: KubeApi;
  name: string;
  nodeName: string;
  /** Socket of the driver. */
  endpoint: string;
  log: (message: string) => void;
}

interface List<T> {
  items: T[];
}

const selectedNode = 'volume.kubernetes.io/selected-node';
const provisionedBy = 'pv.kubernetes.io/provisioned-by';
const storage = '/apis/storage.k8s.io/v1';
const relookMs = 5_000;

/**
 * What elsewhere external-provisioner does, for the volumes of one node: makes a volume for a claim whose pod has been given
 * to this node, and removes one that is released. All it knows it reads anew each time.
 */
export class Provisioner {
  private readonly controller: csi.ControllerClient;
  private wake = (): void => undefined;

  constructor(private readonly deps: ProvisionerDeps) {
    this.controller = new csi.ControllerClient(`unix://${deps.endpoint}`, credentials.createInsecure());
  }

  /** Until the signal; never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const { api, log } = this.deps;
    const watched = ['/api/v1/persistentvolumeclaims', '/api/v1/persistentvolumes'];
    for (const path of watched) void this.follow(path, signal);
    while (!signal.aborted) {
      const next = new Promise<void>(resolve => {
        this.wake = resolve;
        setTimeout(resolve, relookMs).unref();
      });
      await this.reconcile(api).catch((error: Error) => log(`not reconciled: ${error.message}`));
      await next;
    }
    this.controller.close();
  }

  private async follow(path: string, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.deps.api.watch(path, signal, () => this.wake()).catch(() => undefined);
      await new Promise(resolve => setTimeout(resolve, 500));
    }
  }

  private async reconcile(api: KubeApi): Promise<void> {
    const { name, nodeName } = this.deps;
    const claims = await api.request<List<PersistentVolumeClaim>>('GET', '/api/v1/persistentvolumeclaims');
    for (const claim of claims.items) {
      if (claim.spec?.volumeName || claim.metadata?.annotations?.[selectedNode] !== nodeName) continue;
      const path = `${storage}/storageclasses/${claim.spec?.storageClassName}`;
      const storageClass = await api.request<StorageClass>('GET', path);
      if (storageClass.provisioner === name) await this.provision(claim, storageClass);
    }
    const volumes = await api.request<List<PersistentVolume>>('GET', '/api/v1/persistentvolumes');
    for (const volume of volumes.items) if (this.isOver(volume)) await this.remove(volume);
  }

  private call<Q, A>(call: unknown, request: Q): Promise<A> {
    type Call = (request: Q, callback: (error: Error | null, answer: A) => void) => void;
    return new Promise((resolve, reject) =>
      (call as Call).call(this.controller, request, (error, answer) => (error ? reject(error) : resolve(answer))),
    );
  }

  private async provision(claim: PersistentVolumeClaim, storageClass: StorageClass): Promise<void> {
    const { api, name, log } = this.deps;
    const { name: claimName = '', namespace = '', uid = '', resourceVersion = '' } = claim.metadata ?? {};
    const wanted = claim.spec?.resources?.requests?.['storage'] ?? '0';
    const request = csi.CreateVolumeRequest.fromPartial({
      name: `pvc-${uid}`,
      capacityRange: { requiredBytes: BigInt(quantityValue(wanted)) },
      parameters: storageClass.parameters ?? {},
    });
    const { volume } = await this.call<unknown, csi.CreateVolumeResponse>(this.controller.createVolume, request);
    const segments = volume?.accessibleTopology[0]?.segments ?? {};
    const matchExpressions = Object.entries(segments).map(([key, value]) => ({ key, operator: 'In', values: [value] }));
    const body = {
      apiVersion: 'v1',
      kind: 'PersistentVolume',
      metadata: { name: `pvc-${uid}`, annotations: { [provisionedBy]: name } },
      spec: {
        capacity: { storage: wanted },
        accessModes: claim.spec?.accessModes,
        volumeMode: claim.spec?.volumeMode,
        storageClassName: storageClass.metadata?.name,
        persistentVolumeReclaimPolicy: storageClass.reclaimPolicy,
        mountOptions: storageClass.mountOptions,
        claimRef: { apiVersion: 'v1', kind: 'PersistentVolumeClaim', name: claimName, namespace, uid, resourceVersion },
        csi: { driver: name, volumeHandle: volume?.volumeId, volumeAttributes: volume?.volumeContext },
        nodeAffinity: { required: { nodeSelectorTerms: [{ matchExpressions }] } },
      },
    };
    await api.request('POST', '/api/v1/persistentvolumes', body).catch((error: ApiError) => {
      if (error.code !== 409) throw error;
    });
    log(`provisioned pvc-${uid} for ${namespace}/${claimName}`);
  }

  /** Released, to be deleted, and on this node. */
  private isOver({ metadata, spec, status }: PersistentVolume): boolean {
    const { name, nodeName } = this.deps;
    if (metadata?.annotations?.[provisionedBy] !== name || status?.phase !== 'Released') return false;
    const [term] = spec?.nodeAffinity?.required?.nodeSelectorTerms ?? [];
    const here = term?.matchExpressions?.find(({ key }) => key === topologyKey(name))?.values?.includes(nodeName);
    return spec?.persistentVolumeReclaimPolicy === 'Delete' && here === true;
  }

  private async remove({ metadata, spec }: PersistentVolume): Promise<void> {
    const { api, log } = this.deps;
    await this.call(this.controller.deleteVolume, { volumeId: spec?.csi?.volumeHandle ?? '', secrets: {} });
    await api.request('DELETE', `/api/v1/persistentvolumes/${metadata?.name}`).catch((error: ApiError) => {
      if (error.code !== 404) throw error;
    });
    log(`removed ${metadata?.name}`);
  }
}
