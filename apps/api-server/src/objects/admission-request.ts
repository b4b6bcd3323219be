import type { KubeObject } from '@naru/api';
import type { AdmissionOperation, AdmissionRequest } from '../admission/plugin';
import type { ObjectDeps } from './deps';
import type { ObjectRequest } from './request';

/** What admission is asked about a request; `object` and `old` as the operation has them. */
export function admissionRequest(
  request: ObjectRequest,
  operation: AdmissionOperation,
  { object, old }: { object?: KubeObject | undefined; old?: KubeObject | undefined },
): AdmissionRequest {
  const { definition, namespace, name, subresource, user, dryRun, fieldManager, warnings, signal } = request;
  return {
    definition,
    operation,
    namespace,
    name,
    subresource,
    object,
    old,
    user,
    dryRun,
    fieldManager,
    warnings,
    signal,
  };
}

/**
 * Asks admission about what is no stored object: the body of a subresource, or the options of a connection. Gives it
 * as admission has left it.
 */
export async function admitBody<T extends KubeObject>(
  { admission }: Pick<ObjectDeps, 'admission'>,
  request: ObjectRequest,
  operation: AdmissionOperation,
  { object, old }: { object: T; old?: KubeObject | undefined },
): Promise<T> {
  const asked = admissionRequest(request, operation, { object, old });
  await admission.admit(asked);
  await admission.validate(asked);
  return asked.object as T;
}
