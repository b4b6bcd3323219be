import {
  apiVersionOf,
  persistentVolumeClaims,
  volumeAnnotations,
  type Node,
  type PersistentVolume,
  type PersistentVolumeClaim,
  type StorageClass,
  type Stored,
} from '@naru/api';

export const localProvisioner = 'naru.dev/local-path';
const hostnameLabel = 'kubernetes.io/hostname';
const singleNodeModes = ['ReadWriteOnce', 'ReadWriteOncePod'];

/** Why a directory of one node cannot be what the claim asks for. Undefined: it can. */
export function unsupported({ spec }: PersistentVolumeClaim): string | undefined {
  if (spec?.selector) return 'claim.Spec.Selector is not supported';
  if (spec?.volumeMode === 'Block') return 'block volumes are not supported: set spec.volumeMode to Filesystem';
  const other = spec?.accessModes?.find(mode => !singleNodeModes.includes(mode));
  return other && `access mode ${other} is not supported: a local volume is on one node, use ReadWriteOnce`;
}

/** The same for every attempt, so that a second one finds the first one's volume. */
export function volumeNameFor(claim: Stored<PersistentVolumeClaim>): string {
  return `pvc-${claim.metadata.uid}`;
}

/** A directory on the node, made by the kubelet when it is first mounted, and bound to that node. */
export function localVolume(
  claim: Stored<PersistentVolumeClaim>,
  storageClass: StorageClass,
  node: Stored<Node>,
  root: string,
): PersistentVolume {
  const name = volumeNameFor(claim);
  const { namespace, name: claimName, uid, resourceVersion } = claim.metadata;
  const type = persistentVolumeClaims;
  const hostname = node.metadata.labels?.[hostnameLabel] ?? node.metadata.name;
  const onNode = { key: hostnameLabel, operator: 'In', values: [hostname] };
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolume',
    metadata: {
      name,
      annotations: { [volumeAnnotations.provisionedBy]: localProvisioner, [nodeAnnotation]: node.metadata.name },
    },
    spec: {
      capacity: { storage: claim.spec?.resources?.requests?.['storage'] ?? '0' },
      ...(claim.spec?.accessModes ? { accessModes: claim.spec.accessModes } : {}),
      ...(storageClass.reclaimPolicy ? { persistentVolumeReclaimPolicy: storageClass.reclaimPolicy } : {}),
      ...(storageClass.metadata?.name ? { storageClassName: storageClass.metadata.name } : {}),
      ...(storageClass.mountOptions ? { mountOptions: storageClass.mountOptions } : {}),
      volumeMode: 'Filesystem',
      hostPath: { path: `${root}/${name}`, type: 'DirectoryOrCreate' },
      claimRef: { apiVersion: apiVersionOf(type), kind: type.kind, namespace, name: claimName, uid, resourceVersion },
      nodeAffinity: { required: { nodeSelectorTerms: [{ matchExpressions: [onNode] }] } },
    },
  } as PersistentVolume;
}

/** On volumes: the name of the node, which its hostname label need not be. */
const nodeAnnotation = 'naru.dev/node';

export function nodeOf(volume: PersistentVolume): string {
  return volume.metadata?.annotations?.[nodeAnnotation] ?? '';
}

/**
 * On the node of a released volume: the directory that its kubelet is to remove, which then writes "" in its place. The
 * kubelet needs no other rights for that than those to its own Node.
 */
export function removalAnnotation(volumeName: string): string {
  return `remove.volumes.naru.dev/${volumeName}`;
}

/** The names of the volumes of which a node's annotations speak. */
export function removalsOf(node: Node): string[] {
  const prefix = removalAnnotation('');
  return Object.keys(node.metadata?.annotations ?? {})
    .filter(key => key.startsWith(prefix))
    .map(key => key.slice(prefix.length));
}
