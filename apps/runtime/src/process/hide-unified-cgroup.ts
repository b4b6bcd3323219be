import { detectCgroups } from './cgroups';
import { listMounts, unmount } from './mounts';

/**
 * Hybrid hosts mount version 2 cgroups, without controllers, beside those of version 1, and crun 1.8 refuses to work there. In a mount
 * namespace of the node's own the mount can go. Throws where that would reach other mount namespaces.
 */
export async function hideUnifiedCgroup(): Promise<void> {
  const { hybridMount } = detectCgroups();
  if (hybridMount === undefined) return;
  const mount = listMounts().find(entry => entry.path === hybridMount);
  if (mount?.shared)
    throw new Error(
      `${hybridMount} is a shared mount: --hide-unified-cgroup needs a mount namespace of the node's own`,
    );
  await unmount(hybridMount);
}
