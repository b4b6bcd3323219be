import fs from 'node:fs/promises';
import { quantityValue, type Pod } from '@naru/api';
import { hugePagesPrefix } from '../node/huge-pages';
import { makeVolumeDirectory } from './directory';
import { isMountPoint, mountFilesystem, mountTmpfs, unmountBelow } from './mount';
import { fsGroupOf, type VolumePlugin } from './plugin';

/** What all containers of a pod may use of a resource together; undefined when one has no limit. */
function podLimit(pod: Pod, resource: string): number | undefined {
  const containers = [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? [])];
  let total = 0;
  for (const { resources } of containers) {
    const limit = resources?.limits?.[resource];
    if (limit === undefined) return undefined;
    total += quantityValue(limit);
  }
  return containers.length > 0 ? total : undefined;
}

/** Bytes of a volume in memory: never more than its containers may use. 0: the kernel's default. */
function memorySize(pod: Pod, sizeLimit: string | undefined): number {
  const asked = sizeLimit ? quantityValue(sizeLimit) : 0;
  const limit = podLimit(pod, 'memory') ?? 0;
  return asked > 0 && limit > 0 ? Math.min(asked, limit) : asked || limit;
}

/** The page size of medium HugePages: the only one that the pod's containers ask for. */
function hugePageSize(pod: Pod, medium: string): number {
  if (medium.startsWith('HugePages-')) return quantityValue(medium.slice('HugePages-'.length));
  const containers = [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? [])];
  const sizes = new Set(
    containers.flatMap(({ resources }) =>
      Object.keys({ ...resources?.limits, ...resources?.requests }).filter(name => name.startsWith(hugePagesPrefix)),
    ),
  );
  const [only] = sizes;
  if (sizes.size !== 1 || only === undefined) {
    throw new Error('medium HugePages can be used only if exactly one huge page size is requested by the containers');
  }
  return quantityValue(only.slice(hugePagesPrefix.length));
}

async function mountMedium(directory: string, pod: Pod, medium: string, sizeLimit: string | undefined): Promise<void> {
  const mode = fsGroupOf(pod) === undefined ? '0777' : '2777';
  if (medium === 'Memory') return mountTmpfs(directory, memorySize(pod, sizeLimit), mode);
  const options = [`pagesize=${hugePageSize(pod, medium)}`, `mode=${mode}`];
  return mountFilesystem('hugetlbfs', 'nodev', directory, options);
}

/** Scratch space that lives as long as the pod; `medium` puts it into memory or huge pages. */
export const emptyDir: VolumePlugin = {
  name: 'empty-dir',
  supports: ({ volume }) => volume.emptyDir !== undefined,
  inMemory: false,
  refreshes: false,
  async setUp({ directory, volume, pod }) {
    const { medium = '', sizeLimit } = volume.emptyDir ?? {};
    const isMedium = medium === 'Memory' || medium === 'HugePages' || medium.startsWith('HugePages-');
    if (medium !== '' && !isMedium) throw new Error(`unknown storage medium "${medium}"`);
    const gid = fsGroupOf(pod);
    await makeVolumeDirectory(directory, gid, 0o777);
    if (isMedium && !isMountPoint(directory)) {
      await mountMedium(directory, pod, medium, sizeLimit);
      if (gid !== undefined) await fs.chown(directory, 0, gid);
    }
    return directory;
  },
  tearDown: unmountBelow,
};
