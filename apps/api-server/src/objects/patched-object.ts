import { applyPatch, decodeValue, invalid, invalidObject, patchComplaints, type KubeObject } from '@naru/api';
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
  const { object, warnings } = decodeValue(plain, definition, { fieldValidation: isIgnored ? 'Ignore' : 'Warn' });
  const complaints = isIgnored ? [] : [...patchComplaints(body.mediaType, body.bytes), ...warnings];
  if (fieldValidation === 'Strict' && complaints.length > 0) {
    const why = `strict decoding error: ${complaints.join(', ')}`;
    // As upstream, which does not name the object here.
    throw invalidObject({ group: '', kind: '' }, '', [invalid('patch', JSON.stringify(plain), why)]);
  }
  if (keepsOwners) (object.metadata ??= {}).managedFields = managedFields;
  warn(request, complaints);
  return object;
}
