import type { Node, Pod } from '@naru/api';
import type { Clock, Logger } from '@naru/foundation';
import type { cri } from '@naru/proto';
import type { CriClient } from '../cri/cri-client';
import type { PodEvents } from '../pods/pod-events';
import type { FsStats } from '../stats/summary-types';

export interface ImageGcDeps {
  runtime: Pick<CriClient, 'listImages' | 'listContainers' | 'removeImage'>;
  /** The images' file system; undefined when nobody knows. */
  imageFs: () => Promise<FsStats | undefined>;
  /** Pods of this node that are not over: their images are in use also between two containers. */
  pods: () => readonly Pod[];
  /** That of the runtime for sandboxes; undefined: it pins it itself, or has none. */
  sandboxImage: string | undefined;
  node: () => Node | undefined;
  /** Told the id of each image that has gone. */
  onRemoved?: (imageId: string) => void;
  events: PodEvents;
  clock: Clock;
  logger: Logger;
  onCollected: (reason: 'space' | 'age', images: number) => void;
  highPercent: number;
  lowPercent: number;
  minimumAgeMs: number;
  /** 0: an image may be unused for ever. */
  maximumAgeMs: number;
}

interface Known {
  detectedAt: number;
  lastUsedAt: number;
}

const periodMs = 5 * 60_000;

/** Removes images nobody uses when their disk fills, those unused longest first. Source: pkg/kubelet/images/image_gc_manager.go. */
export class ImageGc {
  private readonly known = new Map<string, Known>();
  private first = true;

  constructor(private readonly deps: ImageGcDeps) {}

  /** Until the signal; never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock } = this.deps;
    while (!signal.aborted) {
      await this.collect().catch((error: unknown) => this.failed((error as Error).message));
      await clock.sleep(periodMs, signal).catch(() => undefined);
    }
  }

  /** One round: what is too old, then, above the high mark, what brings the disk below the low mark. */
  async collect(): Promise<void> {
    const { deps } = this;
    const now = deps.clock.now();
    let unused = await this.unused();
    if (deps.maximumAgeMs > 0) {
      const old = unused.filter(({ id }) => now - this.usedAt(id) > deps.maximumAgeMs);
      for (const image of old) await this.remove(image, 'age');
      unused = unused.filter(image => !old.includes(image));
    }
    const disk = await deps.imageFs();
    if (!disk) return;
    const { capacityBytes = 0, availableBytes = 0 } = disk;
    if (capacityBytes === 0) throw new Error('invalid capacity 0 on image filesystem');
    const usedPercent = 100 - Math.floor((availableBytes * 100) / capacityBytes);
    if (usedPercent < deps.highPercent) return;
    const wanted = Math.ceil((capacityBytes * (100 - deps.lowPercent)) / 100) - availableBytes;
    deps.logger.info({ usedPercent, wantedBytes: wanted }, 'disk usage on image filesystem is over the high threshold');
    const freed = await this.free(unused, wanted);
    if (freed < wanted) {
      this.failed(
        `Failed to garbage collect required amount of images. Attempted to free ${wanted} bytes, but only found ${freed} bytes eligible to free.`,
        'FreeDiskSpaceFailed',
      );
    }
  }

  /** For a node whose disk is full: everything nobody uses goes, however new. */
  async removeUnused(): Promise<void> {
    for (const image of await this.unused()) await this.remove(image, 'space');
  }

  private usedAt(id: string): number {
    const { detectedAt = 0, lastUsedAt = 0 } = this.known.get(id) ?? {};
    return Math.max(detectedAt, lastUsedAt);
  }

  private async free(unused: readonly cri.Image[], wanted: number): Promise<number> {
    const { clock, minimumAgeMs } = this.deps;
    const now = clock.now();
    const order = [...unused].sort(
      (a, b) => this.lastUsed(a.id) - this.lastUsed(b.id) || this.detected(a.id) - this.detected(b.id),
    );
    let freed = 0;
    for (const image of order) {
      if (freed >= wanted) break;
      if (now - this.detected(image.id) < minimumAgeMs) continue;
      if (await this.remove(image, 'space')) freed += Number(image.size);
    }
    return freed;
  }

  private lastUsed(id: string): number {
    return this.known.get(id)?.lastUsedAt ?? 0;
  }

  private detected(id: string): number {
    return this.known.get(id)?.detectedAt ?? 0;
  }

  /** Images that no container and no pod needs; keeps the book of when each was last needed. */
  private async unused(): Promise<cri.Image[]> {
    const { runtime, pods, sandboxImage, clock } = this.deps;
    const [images, containers] = await Promise.all([runtime.listImages(), runtime.listContainers()]);
    const used = new Set(containers.flatMap(({ imageId, imageRef, image }) => [imageId, imageRef, image?.image ?? '']));
    const named = new Set([
      ...(sandboxImage === undefined ? [] : [sandboxImage]),
      ...pods().flatMap(({ spec, status }) => [
        ...[...(spec?.containers ?? []), ...(spec?.initContainers ?? [])].map(({ image = '' }) => image),
        ...(status?.containerStatuses ?? []).map(({ imageID = '' }) => imageID),
        ...(spec?.volumes ?? []).map(({ image }) => image?.reference ?? ''),
      ]),
    ]);
    const now = clock.now();
    const inUse = ({ id, repoTags, repoDigests }: cri.Image): boolean =>
      [id, ...repoTags, ...repoDigests].some(name => used.has(name) || named.has(name) || named.has(shortName(name)));
    // What was there before us is as old as anything.
    const detectedAt = this.first ? 0 : now;
    this.first = false;
    for (const image of images) {
      const known = this.known.get(image.id) ?? { detectedAt, lastUsedAt: 0 };
      if (inUse(image)) known.lastUsedAt = now;
      this.known.set(image.id, known);
    }
    for (const id of this.known.keys()) if (!images.some(image => image.id === id)) this.known.delete(id);
    return images.filter(image => !image.pinned && !inUse(image));
  }

  private async remove(image: cri.Image, reason: 'space' | 'age'): Promise<boolean> {
    const { runtime, logger, onCollected, onRemoved } = this.deps;
    try {
      await runtime.removeImage(image.id);
    } catch (err) {
      logger.warn({ err, image: image.id }, 'image not removed');
      return false;
    }
    logger.info({ image: image.repoTags[0] ?? image.id, bytes: Number(image.size), reason }, 'image removed');
    this.known.delete(image.id);
    onCollected(reason, 1);
    onRemoved?.(image.id);
    return true;
  }

  private failed(message: string, reason = 'ImageGCFailed'): void {
    const { node, events, logger } = this.deps;
    logger.warn({ reason: message }, 'image garbage collection failed');
    const about = node();
    if (about) events.node(about, 'Warning', reason, message);
  }
}

/** As people write it: without docker.io/library/ and without the tag that goes without saying. */
function shortName(name: string): string {
  return name.replace(/^docker\.io\/(library\/)?/, '').replace(/:latest$/, '');
}
