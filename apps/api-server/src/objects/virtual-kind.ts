import type { KubeObject } from '@naru/api';
import type { ObjectDeps } from './deps';
import type { Body, ObjectReply, ObjectRequest } from './request';

/** The verbs of a kind that is answered, not stored. */
export interface VirtualKind {
  /** `GROUP/RESOURCE`. */
  resource: string;
  create?(deps: ObjectDeps, request: ObjectRequest, body: Body): Promise<ObjectReply>;
  /** All of them, in order of their names. */
  list?(deps: ObjectDeps, signal: AbortSignal): Promise<KubeObject[]>;
}
