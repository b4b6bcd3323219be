import { createHash } from 'node:crypto';

/** A volume of a CSI driver, as the driver knows it. */
export interface CsiHandle {
  driver: string;
  handle: string;
}

const csiPrefix = 'kubernetes.io/csi/';

/** As the lists of a Node's status name the volume. */
export function attachedVolumeName({ driver, handle }: CsiHandle): string {
  return `${csiPrefix}${driver}^${handle}`;
}

/** The volume that a Node's list names. Undefined for what is not a CSI driver's. */
export function parseAttachedVolumeName(name: string): CsiHandle | undefined {
  const end = name.indexOf('^');
  if (!name.startsWith(csiPrefix) || end < 0) return undefined;
  return { driver: name.slice(csiPrefix.length, end), handle: name.slice(end + 1) };
}

/** The VolumeAttachment of a volume on a node: controller and kubelet find it by this name. Source: pkg/volume/csi. */
export function attachmentName({ driver, handle }: CsiHandle, nodeName: string): string {
  return `csi-${createHash('sha256').update(handle).update(driver).update(nodeName).digest('hex')}`;
}
