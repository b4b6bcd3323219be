import type { PersistentVolume, PersistentVolumeClaim, Pod, Stored, Volume } from '@naru/api';
import type { ConfigSource } from '../containers/env';
import type { PodFacts } from '../containers/field-ref';

export interface TokenRequestInput {
  namespace: string;
  serviceAccount: string;
  audiences: string[];
  expirationSeconds: number;
  /** The token dies with this pod. */
  pod: { name: string; uid: string };
}

/** What a claim of a pod led to. */
export interface ClaimedVolume {
  claim: Stored<PersistentVolumeClaim>;
  persistentVolume: PersistentVolume;
  /** The pod wants it read-only. */
  readOnly: boolean;
}

/** A volume as plugins see it: one of the pod's own or the persistent volume behind a claim, whose name it then bears. */
export interface VolumeSource {
  volume: Volume;
  claimed?: ClaimedVolume;
}

export interface VolumeContext extends VolumeSource {
  pod: Pod;
  /** The volume's own directory on the node; its parents exist, it may exist from an earlier time. */
  directory: string;
  facts: PodFacts;
  objects: ConfigSource;
  serviceAccountToken: (input: TokenRequestInput) => Promise<string>;
  /** Ends a wait when the pod is not to start any more. */
  signal?: AbortSignal | undefined;
}

/** One kind of volume. */
export interface VolumePlugin {
  /** The last part of upstream's plugin name: "configmap" of kubernetes.io/configmap. */
  readonly name: string;
  supports(source: VolumeSource): boolean;
  /** Its files must not reach a disk. */
  readonly inMemory: boolean;
  /** Its content follows objects that change: setUp is called again from time to time. */
  readonly refreshes: boolean;
  /** Brings the volume about and answers where it is on the node. May be called again: then it brings it up to date. */
  setUp(context: VolumeContext): Promise<string>;
  /** Undoes setUp but for removing the directory, which happens afterwards. */
  tearDown(directory: string): Promise<void>;
}

export const fsGroupOf = (pod: Pod): number | undefined => pod.spec?.securityContext?.fsGroup;

/** The volume is a device that a container sees as such, not a directory. */
export const isBlock = ({ claimed }: VolumeSource): boolean => claimed?.persistentVolume.spec?.volumeMode === 'Block';

/** What failed of bringing a volume about, where that is to be told by its own name. */
export class VolumeStepError extends Error {
  /** `step`: "MountVolume.MountDevice failed". */
  constructor(
    readonly step: string,
    cause: Error,
  ) {
    super(cause.message, { cause });
  }
}
