/** What a plugin says of a pod or of a pod on a node. Success is `undefined`, so that the common case allocates nothing. */
export interface Status {
  readonly code: Code;
  readonly reasons: readonly string[];
}

/**
 * `Unschedulable` may change when pods go; `UnschedulableAndUnresolvable` only when the node or the pod changes, so
 * preemption does not help; `Skip` leaves the plugin's later extension points out of this cycle.
 */
export type Code = 'Unschedulable' | 'UnschedulableAndUnresolvable' | 'Skip' | 'Error';

export const skip: Status = { code: 'Skip', reasons: [] };

export function unschedulable(...reasons: string[]): Status {
  return { code: 'Unschedulable', reasons };
}

export function unresolvable(...reasons: string[]): Status {
  return { code: 'UnschedulableAndUnresolvable', reasons };
}
