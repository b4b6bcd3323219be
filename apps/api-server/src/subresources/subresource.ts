import type { ObjectDeps } from '../objects/deps';
import type { Body, ObjectReply, ObjectRequest } from '../objects/request';

/** The verbs of a subresource with code of its own. */
export interface Subresource {
  /** `GROUP/RESOURCE/NAME`, or NAME alone for one that every kind may have. */
  name: string;
  get?(deps: ObjectDeps, request: ObjectRequest): Promise<ObjectReply>;
  create?(deps: ObjectDeps, request: ObjectRequest, body: Body): Promise<ObjectReply>;
  update?(deps: ObjectDeps, request: ObjectRequest, body: Body): Promise<ObjectReply>;
  patch?(deps: ObjectDeps, request: ObjectRequest, body: Body): Promise<ObjectReply>;
}
