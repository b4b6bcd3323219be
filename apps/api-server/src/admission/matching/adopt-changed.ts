import { StatusError } from '@naru/foundation';
import { decodeValue, deepEqual, type AnyDefinition, type KubeObject } from '@naru/api';
import type { AdmissionRequest } from '../plugin';
import { isOwnKind } from './attributes';
import { convertObject } from './equivalents';

/**
 * Takes over what a webhook or policy has made of the object, which it saw as `shownAs`: checked, defaulted and brought
 * back to the version of the request. True when anything changed.
 * @throws StatusError InternalError for what is no object of the kind
 */
export async function adoptChanged(
  request: AdmissionRequest,
  shownAs: AnyDefinition,
  changed: unknown,
): Promise<boolean> {
  const own = isOwnKind(request, request.object!);
  const next = own
    ? await convertObject(decoded(changed, shownAs), shownAs, request.definition, request.signal)
    : (structuredClone(changed) as KubeObject);
  const isChanged = !deepEqual(next, request.object);
  request.object = next;
  return isChanged;
}

function decoded(value: unknown, shownAs: AnyDefinition): KubeObject {
  try {
    const { object } = decodeValue(value, shownAs, { fieldValidation: 'Ignore' });
    shownAs.strategy.applyDefaults(object);
    return object;
  } catch (cause) {
    throw internal((cause as Error).message, cause);
  }
}

export function internal(message: string, cause?: unknown): StatusError {
  return new StatusError('InternalError', `Internal error occurred: ${message}`, { cause });
}
