import { StatusError } from '@naru/foundation';

/** The past at `revision` is not known, or not any more. */
export function forgotten(revision: number, known: number): StatusError {
  return new StatusError('Expired', `too old resource version: ${revision} (${known})`);
}
