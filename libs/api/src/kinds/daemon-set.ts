import { deepEqual } from '../deep-equal';
import { defaultPodTemplate } from '../defaults/pod-spec';
import { daemonSets } from '../resource';
import { ageColumn, containerColumns, formatMap, integer, nameColumn, text, wide } from '../table/columns';
import type { DaemonSet } from '../types';
import { invalid, notSupported, required, type FieldError } from '../validation/field-error';
import { validateIntOrPercent } from '../validation/int-or-percent';
import { defaultRollingUpdate, isZeroBound } from '../validation/rolling-update';
import {
  immutableMessage,
  validateLastingTemplate,
  validateNonNegative,
  validateSelectorAndTemplate,
} from '../validation/workload';
import { defineKind } from './define-kind';
import { formatSelector } from './selector-column';

const count = (field: keyof NonNullable<DaemonSet['status']>) => (o: DaemonSet) => Number(o.status?.[field] ?? 0);

const generationAnnotation = 'deprecated.daemonset.template.generation';

/** Counts the changes of the template, for clients that still know DaemonSets by it. */
function setTemplateGeneration(o: DaemonSet, generation: number): void {
  const annotations: Record<string, string> = ((o.metadata ??= {}).annotations ??= {});
  annotations[generationAnnotation] = String(generation);
}

/** Nothing could ever be updated, or too much at once. */
function validateRollingUpdate({ spec }: DaemonSet, path: string, errors: FieldError[]): void {
  if (spec?.updateStrategy?.type !== 'RollingUpdate') return;
  const { maxUnavailable, maxSurge } = spec.updateStrategy.rollingUpdate ?? {};
  if (isZeroBound(maxUnavailable) && isZeroBound(maxSurge))
    errors.push(required(`${path}.maxUnavailable`, 'cannot be 0 when maxSurge is 0'));
  else if (!isZeroBound(maxUnavailable) && !isZeroBound(maxSurge))
    errors.push(invalid(`${path}.maxSurge`, maxSurge, 'may not be set when maxUnavailable is non-zero'));
}

export const daemonSetKind = defineKind(daemonSets, {
  shortNames: ['ds'],
  categories: ['all'],
  subresources: { status: true },
  hasGeneration: true,
  applyDefaults: ({ spec }) => {
    if (!spec) return;
    defaultRollingUpdate((spec.updateStrategy ??= {}), { maxUnavailable: 1, maxSurge: 0 });
    spec.revisionHistoryLimit ??= 10;
    defaultPodTemplate(spec.template);
  },
  prepareForUpdate: (next, old) => {
    const before = Number(old.metadata?.annotations?.[generationAnnotation] ?? 0);
    const changed = !deepEqual(next.spec?.template, old.spec?.template);
    setTemplateGeneration(next, changed ? before + 1 : before);
  },
  prepareForCreate: o => setTemplateGeneration(o, 1),
  validate: (o, errors) => {
    const { spec } = o;
    validateSelectorAndTemplate(spec?.selector, spec?.template, 'daemonset', errors);
    validateLastingTemplate(spec?.template, 'DaemonSet', errors);
    validateNonNegative(spec?.minReadySeconds, 'spec.minReadySeconds', errors);
    validateNonNegative(spec?.revisionHistoryLimit, 'spec.revisionHistoryLimit', errors);
    const types = ['OnDelete', 'RollingUpdate'];
    if (!types.includes(spec?.updateStrategy?.type ?? ''))
      errors.push(notSupported('spec.updateStrategy.type', spec?.updateStrategy?.type, types));
    const path = 'spec.updateStrategy.rollingUpdate';
    validateIntOrPercent(spec?.updateStrategy?.rollingUpdate?.maxUnavailable, `${path}.maxUnavailable`, errors);
    validateIntOrPercent(spec?.updateStrategy?.rollingUpdate?.maxSurge, `${path}.maxSurge`, errors);
    validateRollingUpdate(o, path, errors);
  },
  validateUpdate: (next, old, errors) => {
    if (!deepEqual(next.spec?.selector, old.spec?.selector))
      errors.push(invalid('spec.selector', next.spec?.selector, immutableMessage));
  },
  columns: [
    nameColumn,
    integer('Desired', 'How many nodes should run the daemon pod.', count('desiredNumberScheduled')),
    integer('Current', 'How many nodes run it as they should.', count('currentNumberScheduled')),
    integer('Ready', 'How many of its pods are ready.', count('numberReady')),
    integer('Up-to-date', 'How many nodes run the updated pod.', count('updatedNumberScheduled')),
    integer('Available', 'How many of its pods are available.', count('numberAvailable')),
    text('Node Selector', 'The nodes that it is for.', o => formatMap(o.spec?.template?.spec?.nodeSelector)),
    ageColumn,
    ...containerColumns<DaemonSet>(),
    wide('Selector', 'Label selector for pods.', o => formatSelector(o.spec?.selector)),
  ],
});
