import { deepEqual } from '../../deep-equal';
import { qosClassOf } from '../../pod-qos';
import type { Container, Pod } from '../../types';
import { forbidden, invalid, type FieldError } from '../field-error';
import { validatePodLevelResources } from './pod-level-resources';
import { validateResources, type Resources } from './resources';

const resizable = new Set(['cpu', 'memory']);
const mirrorAnnotation = 'kubernetes.io/config.mirror';
const lists = ['containers', 'initContainers'] as const;

/** The old containers with the resources that are wanted; other containers than before are left for validation. */
export function takeResize({ spec: wanted }: Pod, { spec: old }: Pod): Partial<Pod> {
  if (!old || !wanted) return old ? { spec: old } : {};
  const spec = { ...old };
  if (wanted.resources) spec.resources = wanted.resources;
  else delete spec.resources;
  for (const list of lists) {
    const before = old[list] ?? [];
    const after = wanted[list] ?? [];
    if (before.length !== after.length || before.some(({ name }, index) => name !== after[index]?.name))
      return { spec: wanted };
    if (old[list])
      spec[list] = before.map((container, index) => ({ ...container, resources: after[index]?.resources ?? {} }));
  }
  return { spec };
}

/** What may change of a pod's resources while it runs. Source: pkg/apis/core/validation.ValidatePodResize. */
export function validateResize(next: Pod, old: Pod, errors: FieldError[]): void {
  if (old.metadata?.annotations?.[mirrorAnnotation] !== undefined)
    errors.push(forbidden('', 'static pods cannot be resized'));
  if (old.status?.phase === 'Succeeded' || old.status?.phase === 'Failed')
    errors.push(forbidden('', `${old.status.phase === 'Failed' ? 'failed' : 'succeeded'} pods cannot be resized`));
  if (next.spec) validatePodLevelResources(next.spec, 'spec', errors);
  validateChange(next.spec?.resources ?? {}, old.spec?.resources ?? {}, 'spec.resources', errors);
  for (const list of lists) {
    const before = old.spec?.[list] ?? [];
    for (const [index, container] of (next.spec?.[list] ?? []).entries()) {
      const at = `spec.${list}[${index}].resources`;
      validateResources(container.resources, at, errors);
      const was = before[index];
      if (!was || deepEqual(container.resources ?? {}, was.resources ?? {})) continue;
      validateChange(container.resources ?? {}, was.resources ?? {}, at, errors);
    }
  }
  if (!deepEqual(withoutResources(next), withoutResources(old)))
    errors.push(forbidden('spec', 'only cpu and memory resources are mutable'));
  else if (qosClassOf(next) !== qosClassOf(old))
    errors.push(invalid('spec', qosClassOf(next), 'Pod QOS Class may not change as a result of resizing'));
}

function validateChange(next: Resources, old: Resources, path: string, errors: FieldError[]): void {
  for (const list of ['requests', 'limits'] as const) {
    const [after, before] = [next[list] ?? {}, old[list] ?? {}];
    for (const name of new Set([...Object.keys(after), ...Object.keys(before)])) {
      if (after[name] === before[name]) continue;
      if (!resizable.has(name)) errors.push(forbidden(`${path}.${list}`, 'only cpu and memory resources are mutable'));
      else if (after[name] === undefined)
        errors.push(forbidden(`${path}.${list}[${name}]`, `resource ${list} cannot be removed`));
    }
  }
  if (!deepEqual(next.claims, old.claims))
    errors.push(forbidden(`${path}.claims`, 'only cpu and memory resources are mutable'));
}

function withoutResources({ spec }: Pod): unknown {
  const strip = (container: Container): Container => ({ ...container, resources: {} });
  const [containers, initContainers] = lists.map(list => spec?.[list]?.map(strip));
  return { ...spec, resources: {}, containers, initContainers };
}
