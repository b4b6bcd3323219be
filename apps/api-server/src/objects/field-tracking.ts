import { formatTime } from '@naru/foundation';
import { apiVersionOf, mergeTypeOf, type FieldWriter } from '@naru/api';
import type { ObjectDeps } from './deps';
import type { ObjectRequest } from './request';

const maxManagerLength = 128;

/** The writer of a request, as the owners of fields are told apart. */
export function writerOf({ clock }: Pick<ObjectDeps, 'clock'>, request: ObjectRequest): FieldWriter {
  const { definition, subresource } = request;
  return {
    type: mergeTypeOf(definition),
    apiVersion: apiVersionOf(definition.type),
    manager: request.fieldManager || fromUserAgent(request.userAgent ?? '') || request.user.username,
    subresource,
    now: formatTime(clock.now()),
    resets: resetsOf(request),
  };
}

/** What the way of writing cannot change: the status by the object, the rest of the object by its status. */
function resetsOf({ subresource, definition }: ObjectRequest): FieldWriter['resets'] {
  if (subresource === 'status') return field => field !== 'status' && field !== 'metadata';
  if (definition.subresources.status && subresource === '') return field => field === 'status';
  return () => false;
}

/** "kubectl/v1.32.4 (linux/amd64)" is kubectl; what cannot be printed is left out. */
function fromUserAgent(userAgent: string): string {
  const [program = ''] = userAgent.split('/', 1);
  return program.replace(/[^\x20-\x7e]/g, '').slice(0, maxManagerLength);
}
