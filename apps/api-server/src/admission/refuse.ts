import type { StatusError } from '@naru/foundation';
import { forbidden } from '../objects/failures';
import type { AdmissionRequest } from './plugin';

/** The 403 of a plugin. An object that has no name yet is called by how its name begins. */
export function refuse({ definition, name, object }: AdmissionRequest, why: string): StatusError {
  const { name: own, generateName } = object?.metadata ?? {};
  return forbidden(definition.type, name || own || generateName || 'Unknown', why);
}
