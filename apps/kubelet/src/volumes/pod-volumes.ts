import { existsSync, mkdirSync } from 'node:fs';
import fs from 'node:fs/promises';
import path from 'node:path';
import type { Container, Pod, Volume } from '@naru/api';
import type { Clock } from '@naru/foundation';
import type { PodPaths } from '../pods/pod-paths';
import type { PodFacts } from '../containers/field-ref';
import { claimName, type Claims } from './claims';
import { unmountBelow } from './mount';
import {
  VolumeStepError,
  isBlock,
  type ClaimedVolume,
  type VolumeContext,
  type VolumePlugin,
  type VolumeSource,
} from './plugin';

/** Volumes could not be brought about: one FailedMount event for each message. */
export class VolumeError extends Error {
  constructor(
    readonly messages: readonly string[],
    options: { cause?: unknown } = {},
  ) {
    super(messages.join('; '), options);
  }
}

export interface PodVolumesDeps {
  paths: PodPaths;
  plugins: readonly VolumePlugin[];
  claims: Pick<Claims, 'resolve' | 'checkAffinity'>;
  objects: VolumeContext['objects'];
  serviceAccountToken: VolumeContext['serviceAccountToken'];
  /** Told how long each set-up took and whether it failed. */
  onSetUp?: (plugin: string, seconds: number, failed: boolean) => void;
  clock: Clock;
}

/** Upstream says that a pod waits for its volumes after so long, and again each time as much has passed. */
const patienceMs = 123_000;

/** What becomes of one volume of a pod. */
type Outcome =
  { name: string; path: string } | { name: string; problem: string; step: 'claim' | 'mount'; cause: unknown };

function usesOf(pod: Pod, volume: string): { mounted: boolean; asDevice: boolean } {
  const { containers = [], initContainers = [] } = pod.spec ?? {};
  const all: Container[] = [...containers, ...initContainers];
  return {
    mounted: all.some(({ volumeMounts }) => volumeMounts?.some(({ name }) => name === volume)),
    asDevice: all.some(({ volumeDevices }) => volumeDevices?.some(({ name }) => name === volume)),
  };
}

/** Sets up, refreshes and removes the volumes of pods. What there is is read from the disk, so it needs no memory. */
export class PodVolumes {
  /** Since when a pod waits for its volumes. */
  private readonly waiting = new Map<string, number>();
  /** Uid of a pod → name of a persistent volume → the volume and the claim that led there. */
  private readonly claimed = new Map<string, Map<string, { name: string; claim: string }>>();

  constructor(private readonly deps: PodVolumesDeps) {}

  /**
   * Volume name → path on the node; volumes out of images are the runtime's and not among them. Throws VolumeError with
   * all that failed; the others are done all the same.
   */
  async setUp(pod: Pod, facts: PodFacts, signal?: AbortSignal): Promise<Map<string, string>> {
    const volumes = (pod.spec?.volumes ?? []).filter(({ image }) => image === undefined);
    const outcomes = await Promise.all(volumes.map(volume => this.attempt(pod, volume, facts, { signal })));
    const uid = pod.metadata?.uid ?? '';
    const failed = outcomes.filter(outcome => 'problem' in outcome);
    if (failed.length > 0) throw new VolumeError(this.messages(uid, failed), { cause: failed[0]?.cause });
    this.waiting.delete(uid);
    return new Map(outcomes.flatMap(outcome => ('path' in outcome ? [[outcome.name, outcome.path] as const] : [])));
  }

  /** Brings volumes up to date that follow other objects, by their content or their size. */
  async refresh(pod: Pod, facts: PodFacts): Promise<void> {
    const volumes = (pod.spec?.volumes ?? []).filter(volume => this.mayRefresh(pod, volume));
    const outcomes = await Promise.all(volumes.map(volume => this.attempt(pod, volume, facts, { refreshing: true })));
    const problems = outcomes.flatMap(outcome => ('problem' in outcome ? [outcome.problem] : []));
    if (problems.length > 0) throw new VolumeError(problems);
  }

  needsRefresh(pod: Pod): boolean {
    return (pod.spec?.volumes ?? []).some(volume => this.mayRefresh(pod, volume));
  }

  /** The volume of a pod whose claim led to a persistent volume of that name. */
  behind(uid: string, persistentVolume: string): { name: string; claim: string } | undefined {
    return this.claimed.get(uid)?.get(persistentVolume);
  }

  /** What is behind a claim is not known before it is asked for. */
  private mayRefresh(pod: Pod, volume: Volume): boolean {
    return claimName(pod, volume) !== undefined || (this.pluginFor({ volume })?.refreshes ?? false);
  }

  /** Removes all files of a pod but its logs. */
  async tearDown(uid: string): Promise<void> {
    const { paths, plugins } = this.deps;
    this.waiting.delete(uid);
    this.claimed.delete(uid);
    for (const directory of [paths.pod(uid), paths.memoryPod(uid)]) {
      // Each look for mounts reads those of the whole machine.
      if (!existsSync(directory)) continue;
      const subPaths = path.join(directory, 'volume-subpaths');
      if (existsSync(subPaths)) await unmountBelow(subPaths);
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

  private pluginFor(source: VolumeSource): VolumePlugin | undefined {
    return this.deps.plugins.find(plugin => plugin.supports(source));
  }

  /** What to tell of a pod that waits for its volumes. Source: volume_manager WaitForAttachAndMount. */
  private messages(uid: string, failed: readonly Extract<Outcome, { problem: string }>[]): string[] {
    const now = this.deps.clock.now();
    const since = this.waiting.get(uid) ?? now;
    const patient = now - since < patienceMs;
    this.waiting.set(uid, patient ? since : now);
    const messages = failed.filter(({ step }) => step === 'mount').map(({ problem }) => problem);
    const unprocessed = failed.filter(({ step }) => step === 'claim');
    if (unprocessed.length === 0 && patient) return messages;
    const names = failed.map(({ name }) => name).join(' ');
    const claims = unprocessed.map(({ name }) => name).join(' ');
    const why = unprocessed.map(({ problem }) => problem).join(', ') || 'timed out waiting for the condition';
    const lists = `unmounted volumes=[${names}], unattached volumes=[${claims}], failed to process volumes=[${claims}]`;
    return [...messages, `Unable to attach or mount volumes: ${lists}: ${why}`];
  }

  private async attempt(
    pod: Pod,
    volume: Volume,
    facts: PodFacts,
    { refreshing = false, signal }: { refreshing?: boolean; signal?: AbortSignal | undefined },
  ): Promise<Outcome> {
    const { name } = volume;
    let source: VolumeSource;
    try {
      source = await this.deps.claims.resolve(pod, volume);
      checkUse(pod, name, source);
    } catch (cause) {
      return { name, problem: (cause as Error).message, step: 'claim', cause };
    }
    if (source.claimed) this.remember(pod, name, source.claimed);
    if (refreshing && !this.pluginFor(source)?.refreshes) return { name, path: '' };
    // Persistent volumes are told of under their own name.
    const about = source.volume.name;
    let action = 'MountVolume.NodeAffinity check';
    try {
      if (!refreshing) this.deps.claims.checkAffinity(source);
      action = 'MountVolume.SetUp';
      return { name, path: await this.setUpOne(pod, source, facts, signal) };
    } catch (cause) {
      const step = cause instanceof VolumeStepError ? cause.step : `${action} failed`;
      const problem = `${step} for volume "${about}" : ${(cause as Error).message}`;
      return { name, problem, step: 'mount', cause };
    }
  }

  private remember(pod: Pod, name: string, { claim, persistentVolume }: ClaimedVolume): void {
    const uid = pod.metadata?.uid ?? '';
    const ofPod = this.claimed.get(uid) ?? new Map<string, { name: string; claim: string }>();
    this.claimed.set(uid, ofPod.set(persistentVolume.metadata?.name ?? '', { name, claim: claim.metadata.name }));
  }

  private async setUpOne(pod: Pod, source: VolumeSource, facts: PodFacts, signal?: AbortSignal): Promise<string> {
    const { paths, objects, serviceAccountToken } = this.deps;
    const plugin = this.pluginFor(source);
    if (!plugin) throw new Error('no volume plugin matched');
    const directory = paths.volume(pod.metadata?.uid ?? '', plugin.name, source.volume.name, plugin.inMemory);
    const startedAt = performance.now();
    let failed = true;
    try {
      mkdirSync(path.dirname(directory), { recursive: true, mode: 0o750 });
      const mounted = await plugin.setUp({ ...source, pod, directory, facts, objects, serviceAccountToken, signal });
      failed = false;
      return mounted;
    } finally {
      this.deps.onSetUp?.(plugin.name, (performance.now() - startedAt) / 1000, failed);
    }
  }
}

function checkUse(pod: Pod, name: string, source: VolumeSource): void {
  const { mounted, asDevice } = usesOf(pod, name);
  const mode = source.claimed?.persistentVolume.spec?.volumeMode ?? 'Filesystem';
  const wrong = isBlock(source) ? mounted && 'volumeMounts' : asDevice && 'volumeDevices';
  if (wrong) throw new Error(`volume ${name} has volumeMode ${mode}, but is specified in ${wrong}`);
}
