import type { Subresource } from './subresource';

/** Present so that the kind's row is checked; the verbs are the object's own, in another mode. */
export const status: Subresource = { name: 'status' };
