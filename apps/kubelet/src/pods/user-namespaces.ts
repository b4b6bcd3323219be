import { randomInt } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import type { Pod } from '@naru/api';
import { cri } from '@naru/proto';
import type { Logger } from '@naru/foundation';
import type { PodPaths } from './pod-paths';

/** A run of ids on the node. */
export interface IdRange {
  first: number;
  length: number;
}

export interface UserNamespacesDeps {
  paths: PodPaths;
  /** How many ids each pod has: a multiple of 65536. */
  idsPerPod: number;
  maxPods: number;
  /** Where the ids of pods are taken from. */
  pool?: IdRange;
  /** What the runtime can do, by the names of its handlers. */
  handlers: () => Promise<readonly cri.RuntimeHandler[]>;
  logger: Logger;
}

const unit = 65_536;
/** All ids but those of the node itself. The last run of 65536 holds the id that stands for none. */
export const wholePool: IdRange = { first: unit, length: 2 ** 32 - 2 * unit };

interface StoredMapping {
  hostId: number;
  containerId: number;
  length: number;
}

/**
 * Gives each pod with `hostUsers: false` ids of its own. They are written down in the pod's directory, in upstream's format, and found there again after a
 * restart. Source: pkg/kubelet/userns.
 */
export class UserNamespaces {
  private readonly given = new Map<string, IdRange>();
  private readonly pool: IdRange;

  /** Throws when the pool cannot serve as many pods as the node may have. */
  constructor(private readonly deps: UserNamespacesDeps) {
    const { idsPerPod, maxPods } = deps;
    this.pool = deps.pool ?? wholePool;
    const { first, length } = this.pool;
    if (first % idsPerPod !== 0) throw new Error(`kubelet user assigned ID ${first} is not a multiple of ${idsPerPod}`);
    if (first < idsPerPod)
      throw new Error(`kubelet user assigned ID ${first} must be greater or equal to ${idsPerPod}`);
    if (Math.floor(length / idsPerPod) < maxPods)
      throw new Error(`kubelet user assigned IDs are not enough to support ${maxPods} pods`);
    this.recover();
  }

  /** The pod's user namespace as CRI wants it. Throws, in upstream's words, when the runtime has none or no ids are free. */
  async of(pod: Pod, handler: string): Promise<cri.UserNamespace> {
    if (pod.spec?.hostUsers !== false) return cri.UserNamespace.fromPartial({ mode: cri.NamespaceMode.NODE });
    await this.checkRuntime(handler);
    const uid = pod.metadata?.uid ?? '';
    const { first, length } = this.given.get(uid) ?? this.give(uid);
    const ids = [{ hostId: first, containerId: 0, length }];
    return cri.UserNamespace.fromPartial({ mode: cri.NamespaceMode.POD, uids: ids, gids: ids });
  }

  /** Nothing of the pod is left. */
  release(uid: string): void {
    if (this.given.delete(uid)) fs.rmSync(this.file(uid), { force: true });
  }

  private async checkRuntime(handler: string): Promise<void> {
    const known = (await this.deps.handlers()).find(({ name }) => name === handler);
    if (known?.features?.userNamespaces) return;
    const what = handler === '' ? 'runtime' : `RuntimeClass handler "${handler}"`;
    const why = known ? '' : `: the handler "${handler}" is not known`;
    throw new Error(`can't set \`spec.hostUsers: false\`, ${what} does not support user namespaces${why}`);
  }

  /** Starts to look at a place that chance chooses: ids of pods that are gone are not soon those of others. */
  private give(uid: string): IdRange {
    const { idsPerPod: length } = this.deps;
    const slots = Math.floor(this.pool.length / length);
    const start = randomInt(slots);
    for (let step = 0; step < slots; step++) {
      const range = { first: this.pool.first + ((start + step) % slots) * length, length };
      if ([...this.given.values()].some(other => overlap(range, other))) continue;
      this.write(uid, range);
      this.given.set(uid, range);
      return range;
    }
    throw new Error('create user namespace: could not find an empty slot to allocate a user namespace');
  }

  private file(uid: string): string {
    return path.join(this.deps.paths.pod(uid), 'userns');
  }

  /** On the disk before anything has the ids: after a loss of power they must not be given a second time. */
  private write(uid: string, { first, length }: IdRange): void {
    const mappings: StoredMapping[] = [{ hostId: first, containerId: 0, length }];
    const directory = this.deps.paths.pod(uid);
    fs.mkdirSync(directory, { recursive: true, mode: 0o750 });
    const file = this.file(uid);
    fs.writeFileSync(`${file}.new`, JSON.stringify({ uidMappings: mappings, gidMappings: mappings }), {
      mode: 0o600,
      flush: true,
    });
    fs.renameSync(`${file}.new`, file);
    const handle = fs.openSync(directory, 'r');
    fs.fsyncSync(handle);
    fs.closeSync(handle);
  }

  private recover(): void {
    const { paths, logger } = this.deps;
    for (const uid of fs.existsSync(paths.pods) ? fs.readdirSync(paths.pods) : []) {
      const text = readIfThere(this.file(uid));
      if (text === undefined) continue;
      const range = parseMappings(text);
      // Its containers have the ids all the same; who comes later must not, whether or not they are of today's pool.
      if (range) this.given.set(uid, range);
      else logger.warn({ uid }, 'the ids that a pod was given cannot be read: it gets others');
    }
  }
}

function overlap(one: IdRange, other: IdRange): boolean {
  return one.first < other.first + other.length && other.first < one.first + one.length;
}

function readIfThere(file: string): string | undefined {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
}

function parseMappings(text: string): IdRange | undefined {
  try {
    const { uidMappings } = JSON.parse(text) as { uidMappings?: StoredMapping[] };
    const [{ hostId, containerId, length } = { hostId: 0, containerId: 0, length: 0 }] = uidMappings ?? [];
    const sound = containerId === 0 && Number.isSafeInteger(hostId) && hostId > 0 && length > 0;
    return sound ? { first: hostId, length } : undefined;
  } catch {
    return undefined;
  }
}

/**
 * The ids that the machine's administrator has given to the kubelet: the line of the user `kubelet` in /etc/subuid, which /etc/subgid must have too. Undefined when there is
 * none: then the kubelet has all. Throws when users and groups differ. Format: subuid(5).
 */
export function subordinateIds(directory = '/etc'): IdRange | undefined {
  const [uids, gids] = ['subuid', 'subgid'].map(name =>
    (readIfThere(path.join(directory, name)) ?? '').split('\n').filter(line => line.startsWith('kubelet:')),
  ) as [string[], string[]];
  if (uids.length === 0 && gids.length === 0) return undefined;
  if (uids.length !== 1 || gids.length !== 1 || uids[0] !== gids[0])
    throw new Error(`${directory}/subuid and ${directory}/subgid must have the same single line for the user kubelet`);
  const [, first, length] = (uids[0] ?? '').split(':').map(Number);
  if (!Number.isSafeInteger(first) || !Number.isSafeInteger(length))
    throw new Error(`cannot read "${uids[0]}" in ${directory}/subuid`);
  return { first: first as number, length: length as number };
}
