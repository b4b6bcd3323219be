import type { ResourceType } from '@naru/api';
import type { AdmissionRequest } from './plugin';

/** True for requests to the objects of `type` themselves, not to a subresource. */
export function isResource({ definition, subresource }: AdmissionRequest, type: ResourceType): boolean {
  return subresource === '' && definition.type.resource === type.resource && definition.type.group === type.group;
}
