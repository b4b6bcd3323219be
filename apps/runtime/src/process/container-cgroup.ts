import path from 'node:path';

/** Where a container's cgroup is, and how an OCI runtime is told. */
export interface ContainerCgroup {
  /** Below the root of the hierarchy. */
  path: string;
  /** `cgroupsPath` of its specification. */
  oci: string;
  /** The OCI runtime has systemd make it, as a scope. */
  bySystemd: boolean;
}

/** The path of a slice by its unit's name: each dash is a step. Source: systemd.slice(5). */
function slicePath(unit: string): string {
  const parts = unit.slice(0, -'.slice'.length).split('-');
  return `/${parts.map((_, index) => `${parts.slice(0, index + 1).join('-')}.slice`).join('/')}`;
}

/** The path of the cgroup that containers are to be below. */
export function cgroupPath(parent: string): string {
  const unit = path.posix.basename(parent);
  return unit.endsWith('.slice') ? slicePath(unit) : parent;
}

/** A parent that is named as a slice is systemd's, and so is what is below it; as in containerd and CRI-O. */
export function containerCgroup(parent: string, id: string): ContainerCgroup {
  const unit = path.posix.basename(parent);
  if (!unit.endsWith('.slice')) return { path: `${parent}/${id}`, oci: `${parent}/${id}`, bySystemd: false };
  return { path: `${cgroupPath(parent)}/naru-${id}.scope`, oci: `${unit}:naru:${id}`, bySystemd: true };
}
