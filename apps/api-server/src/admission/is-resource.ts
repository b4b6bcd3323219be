import type { ResourceType } from '@naru/api';
import type { AdmissionRequest } from './plugin';

/** True for requests to the objects of `type` themselves, or to the subresource that is named. */
export function isResource({ definition, subresource }: AdmissionRequest, type: ResourceType, of = ''): boolean {
  return subresource === of && definition.type.resource === type.resource && definition.type.group === type.group;
}
