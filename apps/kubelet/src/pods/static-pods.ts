import { createHash } from 'node:crypto';
import { apiReferences, pods as podType, type Node, type Pod, type Stored } from '@naru/api';
import type { ObjectsClient } from '@naru/client';
import { isReason, type Clock, type Logger } from '@naru/foundation';
import { parse } from 'yaml';
import { Nudge } from '../nudge';
import type { Manifest, ManifestSource } from './manifest-sources';

export const staticAnnotations = {
  source: 'kubernetes.io/config.source',
  hash: 'kubernetes.io/config.hash',
  mirror: 'kubernetes.io/config.mirror',
  seen: 'kubernetes.io/config.seen',
} as const;

export interface StaticPodsDeps {
  sources: readonly ManifestSource[];
  nodeName: string;
  client: ObjectsClient;
  clock: Clock;
  logger: Logger;
  apply: (pod: Stored<Pod>) => void;
  remove: (pod: Stored<Pod>) => void;
  /** The mirror is there now: a status can be shown. */
  mirrored: (pod: Stored<Pod>) => void;
  node: () => Stored<Node> | undefined;
}

/** The kubelet's word for what the api-server calls otherwise. */
const serviceAccountWords = new Map([
  ['a service account', 'serviceaccounts'],
  ['service account tokens', 'serviceaccounts'],
]);

/** A pod as a manifest says, with the identity that upstream derives from it. Throws for what is no Pod, and for one that needs objects of the api-server. */
export function staticPod({ text, origin }: Manifest, source: string, nodeName: string): Stored<Pod> {
  const pod = parse(text, { maxAliasCount: 100 }) as Pod | null;
  if (pod?.kind !== 'Pod' || pod.apiVersion !== 'v1') throw new Error('not a v1 Pod');
  const name = pod.metadata?.name;
  if (!name || !pod.spec?.containers?.length) throw new Error('a pod needs metadata.name and spec.containers');
  const [reference] = apiReferences(pod.spec);
  if (reference) throw new Error(`static pods may not reference ${serviceAccountWords.get(reference) ?? reference}`);
  const uid = createHash('md5').update(nodeName).update(origin).update(text).digest('hex');
  return {
    ...pod,
    metadata: {
      ...pod.metadata,
      name: `${name}-${nodeName}`,
      namespace: pod.metadata?.namespace ?? 'default',
      uid,
      resourceVersion: '0',
      annotations: {
        ...pod.metadata?.annotations,
        [staticAnnotations.source]: source,
        [staticAnnotations.hash]: uid,
      },
    },
    spec: {
      ...pod.spec,
      nodeName,
      restartPolicy: pod.spec.restartPolicy ?? 'Always',
      // A static pod stays whatever happens to its node.
      tolerations: [...(pod.spec.tolerations ?? []), { operator: 'Exists', effect: 'NoExecute' }],
    },
  };
}

const keyOf = (pod: Stored<Pod>): string => `${pod.metadata.namespace ?? ''}/${pod.metadata.name}`;

/** Pods from manifests that only this node knows, each with a mirror in the api-server that shows it. */
export class StaticPods {
  private readonly byUid = new Map<string, Stored<Pod>>();
  private readonly mirrors = new Map<string, Stored<Pod>>();
  /** Source → what it held when it was last read. */
  private readonly held = new Map<ManifestSource, readonly Stored<Pod>[]>();
  private readonly complaints = new Map<string, string>();

  constructor(private readonly deps: StaticPodsDeps) {}

  isMirror(pod: Pod): boolean {
    return pod.metadata?.annotations?.[staticAnnotations.mirror] !== undefined;
  }

  isStatic(pod: Pod): boolean {
    const source = pod.metadata?.annotations?.[staticAnnotations.source];
    return source === 'file' || source === 'http';
  }

  has(uid: string): boolean {
    return this.byUid.has(uid);
  }

  /** The mirror of a static pod, where its status is shown. */
  mirrorOf(pod: Stored<Pod>): Stored<Pod> | undefined {
    return this.mirrors.get(keyOf(pod));
  }

  /** Resolves when every source has been looked at once. */
  async start(signal: AbortSignal): Promise<void> {
    const { sources, clock } = this.deps;
    await Promise.all(sources.map(source => this.look(source)));
    for (const source of sources) {
      const pause = new Nudge();
      source.follow?.(() => pause.nudge(), signal);
      const follow = async (): Promise<void> => {
        while (!signal.aborted) {
          await pause.wait(source.periodMs, clock, signal);
          // Editors write in several steps: look when they have finished.
          await clock.sleep(100, signal).catch(() => undefined);
          if (!signal.aborted) await this.look(source);
        }
      };
      void follow();
    }
  }

  private complain(origin: string, err: unknown): void {
    const why = (err as Error).message;
    if (this.complaints.get(origin) !== why) this.deps.logger.warn({ err, origin }, 'manifest not usable');
    this.complaints.set(origin, why);
  }

  /** Reads one source and applies the difference; never rejects. */
  private async look(source: ManifestSource): Promise<void> {
    let manifests: Manifest[];
    try {
      manifests = await source.read();
      this.complaints.delete(source.name);
    } catch (err) {
      return this.complain(source.name, err);
    }
    const pods: Stored<Pod>[] = [];
    for (const manifest of manifests) {
      try {
        pods.push(staticPod(manifest, source.name, this.deps.nodeName));
        this.complaints.delete(manifest.origin);
      } catch (err) {
        this.complain(manifest.origin, err);
      }
    }
    this.held.set(source, pods);
    await this.apply();
  }

  private async apply(): Promise<void> {
    const { apply, remove } = this.deps;
    const found = new Map([...this.held.values()].flat().map(pod => [pod.metadata.uid, pod]));
    for (const [uid, pod] of this.byUid) {
      if (found.has(uid)) continue;
      this.byUid.delete(uid);
      remove(pod);
      await this.deleteMirror(pod);
    }
    for (const [uid, pod] of found) {
      if (this.byUid.has(uid)) continue;
      this.byUid.set(uid, pod);
      apply(pod);
    }
    for (const pod of this.byUid.values()) await this.ensureMirror(pod);
  }

  mirrorSeen(mirror: Stored<Pod>): void {
    const isNew = !this.mirrors.has(keyOf(mirror));
    this.mirrors.set(keyOf(mirror), mirror);
    const hash = mirror.metadata.annotations?.[staticAnnotations.mirror] ?? '';
    // Of a file that has changed or gone: the mirror of the new one needs its place.
    if (!this.byUid.has(hash) || mirror.metadata.deletionTimestamp) {
      void this.deleteMirror(mirror);
      return;
    }
    const pod = this.byUid.get(hash);
    if (isNew && pod) this.deps.mirrored(pod);
  }

  mirrorGone(mirror: Stored<Pod>): void {
    this.mirrors.delete(keyOf(mirror));
    const pod = [...this.byUid.values()].find(each => keyOf(each) === keyOf(mirror));
    if (pod) void this.ensureMirror(pod);
  }

  private async ensureMirror(pod: Stored<Pod>): Promise<void> {
    const { client, logger, node } = this.deps;
    if (this.mirrors.has(keyOf(pod))) return;
    const owner = node();
    const { uid, resourceVersion: _version, ...metadata } = pod.metadata;
    try {
      const mirror = await client.create(podType, {
        ...pod,
        metadata: {
          ...metadata,
          annotations: { ...metadata.annotations, [staticAnnotations.mirror]: uid },
          ...(owner
            ? {
                ownerReferences: [
                  {
                    apiVersion: 'v1',
                    kind: 'Node',
                    name: owner.metadata.name,
                    uid: owner.metadata.uid,
                    controller: true,
                  },
                ],
              }
            : {}),
        },
      });
      this.mirrors.set(keyOf(pod), mirror);
      this.deps.mirrored(pod);
    } catch (err) {
      if (!isReason(err, 'AlreadyExists')) logger.info({ err, name: pod.metadata.name }, 'mirror pod not created yet');
    }
  }

  private async deleteMirror(pod: Stored<Pod>): Promise<void> {
    const { client, logger } = this.deps;
    const { namespace, name } = pod.metadata;
    try {
      await client.delete(podType, { namespace, name }, { gracePeriodSeconds: 0 });
    } catch (err) {
      if (!isReason(err, 'NotFound')) logger.info({ err, name }, 'mirror pod not deleted yet');
    }
  }
}
