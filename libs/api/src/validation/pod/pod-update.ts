import { deepEqual } from '../../deep-equal';
import { defaultResizePolicy } from '../../defaults/pod-spec';
import type { Container, Pod, PodSpec } from '../../types';
import { forbidden, invalid, type FieldError } from '../field-error';

const explanation =
  'pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,' +
  '`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),' +
  '`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)';

/** What of a pod's spec may change after its creation. Source: pkg/apis/core/validation.ValidatePodUpdate. */
export function validatePodUpdate(next: Pod, old: Pod, errors: FieldError[]): void {
  const a = next.spec;
  const b = old.spec;
  if (!a || !b || deepEqual(a, b)) return;
  for (const list of ['containers', 'initContainers'] as const) {
    if ((a[list]?.length ?? 0) === (b[list]?.length ?? 0)) continue;
    errors.push(forbidden(`spec.${list}`, 'pod updates may not add or remove containers'));
    return;
  }
  validateDeadline(a, b, errors);
  validateTolerationAdditions(a, b, errors);
  validateGates(a, b, errors);
  const changed = changedFields(a, b);
  if (changed.length > 0) errors.push(forbidden('spec', `${explanation}; changed: ${changed.join(', ')}`));
}

function validateDeadline(a: PodSpec, b: PodSpec, errors: FieldError[]): void {
  if (b.activeDeadlineSeconds === undefined || a.activeDeadlineSeconds === b.activeDeadlineSeconds) return;
  const path = 'spec.activeDeadlineSeconds';
  if (a.activeDeadlineSeconds === undefined)
    errors.push(invalid(path, null, 'must not update from a positive integer to nil value'));
  else if (a.activeDeadlineSeconds > b.activeDeadlineSeconds)
    errors.push(invalid(path, a.activeDeadlineSeconds, 'must be less than or equal to previous value'));
}

function validateTolerationAdditions(a: PodSpec, b: PodSpec, errors: FieldError[]): void {
  // Only how long an existing toleration lasts may change.
  const kept = (b.tolerations ?? []).every(old =>
    a.tolerations?.some(t => deepEqual({ ...t, tolerationSeconds: 0 }, { ...old, tolerationSeconds: 0 })),
  );
  if (!kept)
    errors.push(forbidden('spec.tolerations', 'existing toleration can not be modified except its tolerationSeconds'));
}

function validateGates(a: PodSpec, b: PodSpec, errors: FieldError[]): void {
  const before = new Set(b.schedulingGates?.map(gate => gate.name));
  const added = a.schedulingGates?.filter(gate => !before.has(gate.name)) ?? [];
  if (added.length > 0)
    errors.push(
      forbidden('spec.schedulingGates', `only deletion is allowed, but found new scheduling gate '${added[0]?.name}'`),
    );
}

const mutable = new Set(['activeDeadlineSeconds', 'tolerations', 'schedulingGates']);
/** A pod that still waits behind a gate may be steered to other nodes. */
const mutableWhileGated = new Set(['nodeSelector', 'affinity']);

function changedFields(a: PodSpec, b: PodSpec): string[] {
  const gated = (b.schedulingGates?.length ?? 0) > 0;
  const left = a as unknown as Record<string, unknown>;
  const right = b as unknown as Record<string, unknown>;
  const changed: string[] = [];
  for (const key of new Set([...Object.keys(left), ...Object.keys(right)])) {
    if (mutable.has(key) || (gated && mutableWhileGated.has(key))) continue;
    if (key === 'containers' || key === 'initContainers') {
      changed.push(...changedContainers(a[key] ?? [], b[key] ?? [], `spec.${key}`));
    } else if (key === 'terminationGracePeriodSeconds') {
      const raised = (b.terminationGracePeriodSeconds ?? 0) < 0 && a.terminationGracePeriodSeconds === 1;
      if (!raised && left[key] !== right[key]) changed.push(`spec.${key}`);
    } else if (!deepEqual(left[key], right[key])) {
      changed.push(`spec.${key}`);
    }
  }
  return changed;
}

function changedContainers(a: readonly Container[], b: readonly Container[], path: string): string[] {
  const changed: string[] = [];
  for (const [index, container] of a.entries()) {
    const left = container as unknown as Record<string, unknown>;
    // What it has gained since its defaults were set, by admission or by a resize, is no change of this writer.
    const before = { ...b[index]! };
    if (container.resizePolicy) defaultResizePolicy(before);
    const right = before as unknown as Record<string, unknown>;
    for (const key of new Set([...Object.keys(left), ...Object.keys(right)]))
      if (key !== 'image' && !deepEqual(left[key], right[key])) changed.push(`${path}[${index}].${key}`);
  }
  return changed;
}
