import {
  claimNamesOf,
  customResourceDefinitions,
  persistentVolumes,
  pods,
  volumeAttachments,
  type CustomResourceDefinition,
  type KubeObject,
  type PersistentVolume,
  type ResourceType,
  type Stored,
  type VolumeAttachment,
} from '@naru/api';
import type { Informer, InformerOptions, Lister } from '@naru/client';
import { controllerOf } from './owner';

export interface InformerSource {
  informer<T extends KubeObject>(options: InformerOptions<T>): Informer<T>;
}

const keyOf = (type: ResourceType): string => `${type.group}/${type.resource}`;
const definitionsKey = keyOf(customResourceDefinitions);

/** managedFields are often the larger part of an object, and no controller reads them. */
function withoutManagedFields<T extends KubeObject>(object: Stored<T>): Stored<T> {
  delete object.metadata.managedFields;
  return object;
}

function metadataOnly<T extends KubeObject>(object: Stored<T>): Stored<T> {
  const { name, namespace, uid, resourceVersion, ownerReferences, finalizers, deletionTimestamp } = object.metadata;
  const metadata = { name, namespace, uid, resourceVersion, ownerReferences, finalizers, deletionTimestamp };
  return { apiVersion: object.apiVersion, kind: object.kind, metadata } as unknown as Stored<T>;
}

/** Schemas are large, and no controller reads them. */
function withoutSchemas<T extends KubeObject>(object: Stored<T>): Stored<T> {
  const { spec } = object as unknown as CustomResourceDefinition;
  for (const version of spec?.versions ?? []) delete version.schema;
  return withoutManagedFields(object);
}

/** The value of the index `owner` under which objects without a controller are found. */
export function orphansOf(namespace: string | undefined): string {
  return `orphans/${namespace ?? ''}`;
}

/**
 * One informer per resource for all controllers of the process. Every one has the index `owner` (uid of the controlling
 * owner, or `orphansOf(namespace)`), those of pods and attachments also `node`, those of attachments also `volume`, those of pods
 * and volumes also `claim` (namespace/name of the claims that a pod uses, or of the one that a volume is reserved for).
 */
export class ClusterInformers {
  private readonly informers = new Map<string, { informer: Informer<never>; full: boolean }>();

  constructor(private readonly source: InformerSource) {}

  get<T extends KubeObject>(type: ResourceType<T>): Informer<T> {
    const known = this.informers.get(keyOf(type));
    if (known && !known.full) throw new Error(`${type.resource} are kept without their contents: ask for them earlier`);
    return (known?.informer as Informer<T> | undefined) ?? this.make(type, true);
  }

  lister<T extends KubeObject>(type: ResourceType<T>): Lister<T> {
    return this.get(type).lister;
  }

  /** An informer of which only metadata is used: a new one keeps nothing else. Ask after everyone who needs more. */
  metadata(type: ResourceType): Informer<KubeObject> {
    return (this.informers.get(keyOf(type))?.informer as Informer<KubeObject> | undefined) ?? this.make(type, false);
  }

  /** The metadata of a resource that came or may go while the process runs. Its asker starts it and stops it. */
  passing(type: ResourceType): Informer<KubeObject> {
    return this.source.informer<KubeObject>({ type, transform: metadataOnly });
  }

  /** Shows what this process has written to whoever reads it here. */
  observe<T extends KubeObject>(type: ResourceType<T>, written: Stored<T>): void {
    (this.informers.get(keyOf(type))?.informer as Informer<T> | undefined)?.observe(written);
  }

  private make<T extends KubeObject>(type: ResourceType<T>, full: boolean): Informer<T> {
    const informer = this.source.informer<T>({
      type,
      indexers: {
        ...(full ? { owner: object => [controllerOf(object)?.uid ?? orphansOf(object.metadata.namespace)] } : {}),
        ...extraIndexers[keyOf(type)],
      },
      transform: !full ? metadataOnly : keyOf(type) === definitionsKey ? withoutSchemas : withoutManagedFields,
    });
    this.informers.set(keyOf(type), { informer: informer as unknown as Informer<never>, full });
    return informer;
  }
}

function nodeNameOf(pod: KubeObject): string[] {
  const { nodeName } = (pod as { spec?: { nodeName?: string } }).spec ?? {};
  return nodeName ? [nodeName] : [];
}

function claimKeysOf(pod: KubeObject): string[] {
  return claimNamesOf(pod).map(name => `${pod.metadata?.namespace ?? ''}/${name}`);
}

function claimKeyOf(volume: KubeObject): string[] {
  const { namespace, name } = (volume as PersistentVolume).spec?.claimRef ?? {};
  return name ? [`${namespace ?? ''}/${name}`] : [];
}

function attachedNodeOf(attachment: KubeObject): string[] {
  return [(attachment as VolumeAttachment).spec.nodeName];
}

function attachedVolumeOf(attachment: KubeObject): string[] {
  const { persistentVolumeName } = (attachment as VolumeAttachment).spec.source;
  return persistentVolumeName ? [persistentVolumeName] : [];
}

const extraIndexers: Record<string, Record<string, (object: KubeObject) => string[]>> = {
  [keyOf(pods)]: { node: nodeNameOf, claim: claimKeysOf },
  [keyOf(persistentVolumes)]: { claim: claimKeyOf },
  [keyOf(volumeAttachments)]: { node: attachedNodeOf, volume: attachedVolumeOf },
};
