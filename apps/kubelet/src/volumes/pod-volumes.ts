import fs from 'node:fs/promises';
import path from 'node:path';
import type { Pod, Volume } from '@naru/api';
import type { PodPaths } from '../pods/pod-paths';
import type { PodFacts } from '../containers/field-ref';
import { unmountBelow } from './mount';
import type { VolumeContext, VolumePlugin } from './plugin';

/** A volume could not be brought about: event FailedMount. */
export class VolumeError extends Error {
  constructor(
    readonly volume: string,
    message: string,
    options: { cause?: unknown } = {},
  ) {
    super(message, options);
  }
}

export interface PodVolumesDeps {
  paths: PodPaths;
  plugins: readonly VolumePlugin[];
  objects: VolumeContext['objects'];
  serviceAccountToken: VolumeContext['serviceAccountToken'];
  /** Told how long each set-up took and whether it failed. */
  onSetUp?: (plugin: string, seconds: number, failed: boolean) => void;
}

/** Sets up, refreshes and removes the volumes of pods. What there is is read from the disk, so it needs no memory. */
export class PodVolumes {
  constructor(private readonly deps: PodVolumesDeps) {}

  /** Volume name → path on the node. Throws VolumeError for the first that fails; the others are done all the same. */
  async setUp(pod: Pod, facts: PodFacts): Promise<Map<string, string>> {
    const volumes = pod.spec?.volumes ?? [];
    const results = await Promise.allSettled(volumes.map(volume => this.setUpOne(pod, volume, facts)));
    const paths = new Map<string, string>();
    for (const [index, result] of results.entries()) {
      if (result.status === 'rejected') throw result.reason;
      paths.set((volumes[index] as Volume).name, result.value);
    }
    return paths;
  }

  /** Brings volumes up to date whose content follows other objects. */
  async refresh(pod: Pod, facts: PodFacts): Promise<void> {
    const volumes = (pod.spec?.volumes ?? []).filter(volume => this.pluginFor(volume)?.refreshes);
    await Promise.all(volumes.map(volume => this.setUpOne(pod, volume, facts)));
  }

  needsRefresh(pod: Pod): boolean {
    return (pod.spec?.volumes ?? []).some(volume => this.pluginFor(volume)?.refreshes);
  }

  /** Removes all files of a pod but its logs. */
  async tearDown(uid: string): Promise<void> {
    const { paths, plugins } = this.deps;
    for (const directory of [paths.pod(uid), paths.memoryPod(uid)]) {
      await unmountBelow(path.join(directory, 'volume-subpaths'));
      const volumes = path.join(directory, 'volumes');
      for (const kind of await fs.readdir(volumes).catch(() => [])) {
        const plugin = plugins.find(({ name }) => kind === `kubernetes.io~${name}`);
        for (const name of await fs.readdir(path.join(volumes, kind))) {
          await plugin?.tearDown(path.join(volumes, kind, name));
        }
      }
      // Whatever is still mounted (a kind of volume that this version does not know) must not be emptied.
      await unmountBelow(directory);
      await fs.rm(directory, { recursive: true, force: true });
    }
  }

  private pluginFor(volume: Volume): VolumePlugin | undefined {
    return this.deps.plugins.find(plugin => plugin.supports(volume));
  }

  private async setUpOne(pod: Pod, volume: Volume, facts: PodFacts): Promise<string> {
    const { paths, objects, serviceAccountToken } = this.deps;
    const plugin = this.pluginFor(volume);
    if (!plugin) throw new VolumeError(volume.name, `no volume plugin matched volume "${volume.name}"`);
    const directory = paths.volume(pod.metadata?.uid ?? '', plugin.name, volume.name, plugin.inMemory);
    const startedAt = performance.now();
    const note = (failed: boolean): void =>
      this.deps.onSetUp?.(plugin.name, (performance.now() - startedAt) / 1000, failed);
    try {
      await fs.mkdir(path.dirname(directory), { recursive: true, mode: 0o750 });
      const mounted = await plugin.setUp({ pod, volume, directory, facts, objects, serviceAccountToken });
      note(false);
      return mounted;
    } catch (cause) {
      note(true);
      const message = `MountVolume.SetUp failed for volume "${volume.name}" : ${(cause as Error).message}`;
      throw new VolumeError(volume.name, message, { cause });
    }
  }
}
