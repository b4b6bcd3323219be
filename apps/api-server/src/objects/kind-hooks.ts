import type { KubeObject } from '@naru/api';
import type { ObjectRequest } from './request';

/** What a hook has reserved, to be kept when the write is committed and given back when it is not. */
export interface Reservation {
  commit?(): void;
  rollback?(): void;
}

/** What a kind does around its writes beyond its strategy: allocating addresses, for one. */
export interface KindHooks {
  /** `GROUP/RESOURCE`. */
  resource: string;
  beginCreate?(object: KubeObject, request: ObjectRequest): Reservation | undefined;
  /** Before validation: what a client may leave out of an update and keep all the same. */
  carryOver?(next: KubeObject, old: KubeObject): void;
  beginUpdate?(next: KubeObject, old: KubeObject, request: ObjectRequest): Reservation | undefined;
  /** Before it is decided whether the object goes at once: may add what holds it. */
  beginDelete?(object: KubeObject): void;
  afterDelete?(object: KubeObject): void;
}
