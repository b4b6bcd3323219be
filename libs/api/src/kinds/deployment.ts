import { deepEqual } from '../deep-equal';
import { defaultPodTemplate } from '../defaults/pod-spec';
import { deployments } from '../resource';
import { ageColumn, containerColumns, integer, nameColumn, text, wide } from '../table/columns';
import type { Deployment } from '../types';
import { forbidden, invalid, notSupported, type FieldError } from '../validation/field-error';
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

function applyDefaults({ spec }: Deployment): void {
  if (!spec) return;
  spec.replicas ??= 1;
  defaultRollingUpdate((spec.strategy ??= {}), { maxUnavailable: '25%', maxSurge: '25%' });
  spec.revisionHistoryLimit ??= 10;
  spec.progressDeadlineSeconds ??= 600;
  defaultPodTemplate(spec.template);
}

function validate({ spec }: Deployment, errors: FieldError[]): void {
  validateNonNegative(spec?.replicas, 'spec.replicas', errors);
  validateSelectorAndTemplate(spec?.selector, spec?.template, 'deployment', errors);
  validateLastingTemplate(spec?.template, 'ReplicaSet', errors);
  validateStrategy(spec?.strategy, errors);
  validateNonNegative(spec?.minReadySeconds, 'spec.minReadySeconds', errors);
  validateNonNegative(spec?.revisionHistoryLimit, 'spec.revisionHistoryLimit', errors);
  const deadline = spec?.progressDeadlineSeconds;
  validateNonNegative(deadline, 'spec.progressDeadlineSeconds', errors);
  if (deadline !== undefined && deadline <= (spec?.minReadySeconds ?? 0))
    errors.push(invalid('spec.progressDeadlineSeconds', deadline, 'must be greater than minReadySeconds'));
}

function validateStrategy(strategy: NonNullable<Deployment['spec']>['strategy'], errors: FieldError[]): void {
  if (strategy?.type === 'Recreate') {
    if (strategy.rollingUpdate)
      errors.push(forbidden('spec.strategy.rollingUpdate', "may not be specified when strategy `type` is 'Recreate'"));
  } else if (strategy?.type === 'RollingUpdate') {
    const path = 'spec.strategy.rollingUpdate';
    const { maxUnavailable, maxSurge } = strategy.rollingUpdate ?? {};
    validateIntOrPercent(maxUnavailable, `${path}.maxUnavailable`, errors);
    if (typeof maxSurge !== 'string' || !/^\d+%$/.test(maxSurge))
      validateIntOrPercent(maxSurge, `${path}.maxSurge`, errors);
    if (isZeroBound(maxUnavailable) && isZeroBound(maxSurge))
      errors.push(invalid(`${path}.maxUnavailable`, maxUnavailable, 'may not be 0 when `maxSurge` is 0'));
  } else {
    errors.push(notSupported('spec.strategy.type', strategy?.type ?? '', ['Recreate', 'RollingUpdate']));
  }
}

export const deploymentKind = defineKind(deployments, {
  shortNames: ['deploy'],
  categories: ['all'],
  subresources: {
    status: true,
    scale: { specReplicas: 'spec.replicas', statusReplicas: 'status.replicas', selector: 'spec.selector' },
  },
  hasGeneration: true,
  applyDefaults,
  prepareForUpdate: (next, old) => {
    // Annotations go down to the ReplicaSets, so they count as a change.
    if (next.metadata && !deepEqual(next.metadata.annotations, old.metadata?.annotations))
      next.metadata.generation = (old.metadata?.generation ?? 0) + 1;
  },
  prepareForStatusUpdate: (next, old) => {
    if (!next.metadata) return;
    if (old.metadata?.labels) next.metadata.labels = old.metadata.labels;
    else delete next.metadata.labels;
  },
  validate,
  validateUpdate: (next, old, errors) => {
    if (!deepEqual(next.spec?.selector, old.spec?.selector))
      errors.push(invalid('spec.selector', next.spec?.selector, immutableMessage));
  },
  columns: [
    nameColumn,
    text(
      'Ready',
      'Number of the pod with ready state',
      o => `${o.status?.readyReplicas ?? 0}/${o.spec?.replicas ?? 0}`,
    ),
    integer('Up-to-date', 'Pods with the desired template spec.', o => o.status?.updatedReplicas ?? 0),
    integer('Available', 'Pods ready for at least minReadySeconds.', o => o.status?.availableReplicas ?? 0),
    ageColumn,
    ...containerColumns<Deployment>(),
    wide('Selector', 'Label selector for pods.', o => formatSelector(o.spec?.selector)),
  ],
});
