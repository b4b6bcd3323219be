import { createHash } from 'node:crypto';
import type { CSIDriver, Pod } from '@naru/api';
import { csi } from '@naru/proto';
import { fsGroupOf, isBlock, type VolumeContext } from '../volumes/plugin';
import { nodeCapabilities, type CsiDriver } from './csi-driver';

type SecretReference = { name: string; namespace: string };

/** A CSI volume of a pod, written in the pod or behind its claim, in the same words. */
export interface CsiVolume {
  driver: string;
  handle: string;
  lifecycle: 'Persistent' | 'Ephemeral';
  attributes: Record<string, string>;
  fsType: string;
  readOnly: boolean;
  accessModes: readonly string[];
  mountOptions: readonly string[];
  stageSecret?: SecretReference | undefined;
  publishSecret?: SecretReference | undefined;
  expandSecret?: SecretReference | undefined;
}

const reference = (
  secret: { name?: string | undefined; namespace?: string | undefined } | undefined,
  namespace: string,
): SecretReference | undefined =>
  secret?.name ? { name: secret.name, namespace: secret.namespace ?? namespace } : undefined;

/** Throws for a volume that is no CSI volume. */
export function csiVolume({ pod, volume, claimed }: VolumeContext): CsiVolume {
  const namespace = pod.metadata?.namespace ?? '';
  const spec = claimed?.persistentVolume.spec;
  if (spec?.csi) {
    return {
      driver: spec.csi.driver,
      handle: spec.csi.volumeHandle,
      lifecycle: 'Persistent',
      attributes: spec.csi.volumeAttributes ?? {},
      fsType: spec.csi.fsType ?? '',
      readOnly: spec.csi.readOnly || claimed?.readOnly || false,
      accessModes: spec.accessModes ?? [],
      mountOptions: spec.mountOptions ?? [],
      stageSecret: reference(spec.csi.nodeStageSecretRef, namespace),
      publishSecret: reference(spec.csi.nodePublishSecretRef, namespace),
      expandSecret: reference(spec.csi.nodeExpandSecretRef, namespace),
    };
  }
  if (!volume.csi) throw new Error('the volume has no CSI source');
  const uid = pod.metadata?.uid ?? '';
  return {
    driver: volume.csi.driver,
    handle: `csi-${createHash('sha256').update(uid).update(volume.name).digest('hex')}`,
    lifecycle: 'Ephemeral',
    attributes: volume.csi.volumeAttributes ?? {},
    fsType: volume.csi.fsType ?? '',
    readOnly: volume.csi.readOnly ?? false,
    accessModes: ['ReadWriteOnce'],
    mountOptions: [],
    publishSecret: reference(volume.csi.nodePublishSecretRef, namespace),
  };
}

function accessMode(modes: readonly string[], driver: CsiDriver): csi.VolumeCapability_AccessMode_Mode {
  const mode = csi.VolumeCapability_AccessMode_Mode;
  if (modes.includes('ReadWriteMany')) return mode.MULTI_NODE_MULTI_WRITER;
  if (modes.includes('ReadWriteOnce')) {
    const several = driver.can(nodeCapabilities.SINGLE_NODE_MULTI_WRITER);
    return several ? mode.SINGLE_NODE_MULTI_WRITER : mode.SINGLE_NODE_WRITER;
  }
  if (modes.includes('ReadWriteOncePod')) {
    const single = driver.can(nodeCapabilities.SINGLE_NODE_MULTI_WRITER);
    return single ? mode.SINGLE_NODE_SINGLE_WRITER : mode.SINGLE_NODE_WRITER;
  }
  return mode.MULTI_NODE_READER_ONLY;
}

/** Whether the pod's fsGroup is to own the volume. Source: csi_mounter supportsFSGroup. */
export function takesFsGroup(volume: CsiVolume, info: CSIDriver | undefined): boolean {
  const policy = info?.spec.fsGroupPolicy ?? 'ReadWriteOnceWithFSType';
  if (policy === 'None' || volume.readOnly) return false;
  if (policy === 'File') return true;
  return volume.fsType !== '' && volume.accessModes.includes('ReadWriteOnce');
}

export function volumeCapability(
  context: VolumeContext,
  volume: CsiVolume,
  driver: CsiDriver,
  info: CSIDriver | undefined,
): csi.VolumeCapability {
  const gid = fsGroupOf(context.pod);
  const delegated = gid !== undefined && driver.can(nodeCapabilities.VOLUME_MOUNT_GROUP) && takesFsGroup(volume, info);
  const mount = {
    fsType: volume.fsType,
    mountFlags: [...volume.mountOptions],
    volumeMountGroup: delegated ? String(gid) : '',
  };
  return {
    accessType: isBlock(context) ? { $case: 'block', value: {} } : { $case: 'mount', value: mount },
    accessMode: { mode: accessMode(volume.accessModes, driver) },
  };
}

/** What a driver that wants to know its pods is told of them. */
export function podInfo(pod: Pod, volume: CsiVolume): Record<string, string> {
  const { name = '', namespace = '', uid = '' } = pod.metadata ?? {};
  return {
    'csi.storage.k8s.io/pod.name': name,
    'csi.storage.k8s.io/pod.namespace': namespace,
    'csi.storage.k8s.io/pod.uid': uid,
    'csi.storage.k8s.io/serviceAccount.name': pod.spec?.serviceAccountName ?? '',
    'csi.storage.k8s.io/ephemeral': String(volume.lifecycle === 'Ephemeral'),
  };
}
