import type { KubeObject } from '@naru/api';
import type { Claim } from '../storage/storage';
import type { ObjectRequest } from './request';

/** What a hook has reserved in this process, and what makes it the object's own in the store. */
export interface Reservation {
  claims: readonly Claim[];
  /** The write was not committed. */
  rollback(): void;
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
  /** What is given up in the transaction that ends the object. */
  endClaims?(object: KubeObject): readonly Claim[];
}
