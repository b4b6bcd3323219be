import type { Pod, Volume } from '@naru/api';
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

export interface VolumeContext {
  pod: Pod;
  volume: Volume;
  /** The volume's own directory on the node; its parents exist, it may exist from an earlier time. */
  directory: string;
  facts: PodFacts;
  objects: ConfigSource;
  serviceAccountToken: (input: TokenRequestInput) => Promise<string>;
}

/** One kind of volume. */
export interface VolumePlugin {
  /** The last part of upstream's plugin name: "configmap" of kubernetes.io/configmap. */
  readonly name: string;
  supports(volume: Volume): boolean;
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
