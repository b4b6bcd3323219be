import { StatusError } from '@naru/foundation';
import {
  applyPatch,
  DecodeError,
  decodeValue,
  goText,
  invalid,
  invalidObject,
  patchComplaints,
  patchMediaTypes,
  type Decoded,
  type KubeObject,
} from '@naru/api';
import { warn, type Body, type ObjectRequest } from './request';

/** What a patch of a request makes of an object. @throws StatusError BadRequest, Invalid */
export function patchedObject(request: ObjectRequest, body: Body, current: KubeObject): KubeObject {
  const { definition, fieldValidation } = request;
  const managedFields = current.metadata?.managedFields;
  const patched = applyPatch(body.mediaType, current, body.bytes, definition) as KubeObject | null;
  // The owners are the bulk of many objects: they are decoded only when the patch is about them.
  const keepsOwners = managedFields && patched?.metadata?.managedFields === managedFields;
  const plain = keepsOwners ? { ...patched, metadata: { ...patched.metadata, managedFields: undefined } } : patched;
  const isIgnored = fieldValidation === 'Ignore';
  let decoded: Decoded;
  try {
    decoded = decodeValue(plain, definition, { fieldValidation: isIgnored ? 'Ignore' : 'Warn' });
  } catch (error) {
    if (!(error instanceof StatusError && error.cause instanceof DecodeError)) throw error;
    const { message, unconverted } = error.cause;
    throw refused(body, plain, body.mediaType === patchMediaTypes.strategic ? unconverted : message);
  }
  const { object, warnings } = decoded;
  const complaints = isIgnored ? [] : [...patchComplaints(body.mediaType, body.bytes), ...warnings];
  if (fieldValidation === 'Strict' && complaints.length > 0)
    throw refused(body, plain, `strict decoding error: ${complaints.join(', ')}`);
  if (keepsOwners) (object.metadata ??= {}).managedFields = managedFields;
  warn(request, complaints);
  return object;
}

/** As upstream, which does not name the object here, and shows what a patch makes, but of a strategic one the patch itself. */
function refused({ mediaType, bytes }: Body, result: unknown, why: string): StatusError {
  const isStrategic = mediaType === patchMediaTypes.strategic;
  const shown = isStrategic ? goText(JSON.parse(Buffer.from(bytes).toString())) : JSON.stringify(result);
  return invalidObject({ group: '', kind: '' }, '', [invalid('patch', shown, why)]);
}
