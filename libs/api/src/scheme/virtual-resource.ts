import type { ResourceType } from '../resource';
import type { Verb } from './definition';

/** A resource that is asked, not stored: bindings, subjectaccessreviews, tokenreviews. Discovery lists it too. */
export interface VirtualResource {
  type: ResourceType;
  singular: string;
  verbs: readonly Verb[];
}
