import { deepEqual } from '../deep-equal';
import { defaultPodTemplate } from '../defaults/pod-spec';
import { replicaSets, replicationControllers } from '../resource';
import type { TableColumn } from '../table/column';
import { ageColumn, containerColumns, formatMap, integer, nameColumn, wide } from '../table/columns';
import type { ReplicaSet, ReplicationController } from '../types';
import { invalid } from '../validation/field-error';
import { required } from '../validation/field-error';
import { validatePodTemplate } from '../validation/pod/pod-spec';
import {
  immutableMessage,
  validateLastingTemplate,
  validateNonNegative,
  validateSelectorAndTemplate,
} from '../validation/workload';
import { defineKind } from './define-kind';
import { formatSelector } from './selector-column';

const scale = { specReplicas: 'spec.replicas', statusReplicas: 'status.replicas', selector: 'spec.selector' };

function columns<T extends ReplicaSet | ReplicationController>(selector: (o: T) => string): TableColumn<T>[] {
  return [
    nameColumn,
    integer('Desired', 'The number of desired replicas.', o => o.spec?.replicas ?? 0),
    integer('Current', 'The number of observed replicas.', o => o.status?.replicas ?? 0),
    integer('Ready', 'The number of ready replicas.', o => o.status?.readyReplicas ?? 0),
    ageColumn,
    ...containerColumns<T>(),
    wide('Selector', 'Selects the pods.', selector),
  ];
}

export const replicaSetKind = defineKind(replicaSets, {
  shortNames: ['rs'],
  categories: ['all'],
  subresources: { status: true, scale },
  hasGeneration: true,
  applyDefaults: ({ spec }) => {
    if (!spec) return;
    spec.replicas ??= 1;
    defaultPodTemplate(spec.template);
  },
  validate: ({ spec }, errors) => {
    validateNonNegative(spec?.replicas, 'spec.replicas', errors);
    validateNonNegative(spec?.minReadySeconds, 'spec.minReadySeconds', errors);
    validateSelectorAndTemplate(spec?.selector, spec?.template, 'deployment', errors);
    validateLastingTemplate(spec?.template, 'ReplicaSet', errors);
  },
  validateUpdate: (next, old, errors) => {
    if (!deepEqual(next.spec?.selector, old.spec?.selector))
      errors.push(invalid('spec.selector', next.spec?.selector, immutableMessage));
  },
  selectable: { 'status.replicas': o => o.status?.replicas ?? 0 },
  columns: columns(o => formatSelector(o.spec?.selector)),
});

export const replicationControllerKind = defineKind(replicationControllers, {
  shortNames: ['rc'],
  categories: ['all'],
  subresources: { status: true, scale },
  hasGeneration: true,
  applyDefaults: o => {
    const { spec } = o;
    if (!spec) return;
    spec.replicas ??= 1;
    const labels = spec.template?.metadata?.labels;
    if (labels) {
      if (!Object.keys(spec.selector ?? {}).length) spec.selector = { ...labels };
      const meta = (o.metadata ??= {});
      if (!Object.keys(meta.labels ?? {}).length) meta.labels = { ...labels };
    }
    defaultPodTemplate(spec.template);
  },
  validate: ({ spec }, errors) => {
    validateNonNegative(spec?.replicas, 'spec.replicas', errors);
    const selector = Object.entries(spec?.selector ?? {});
    const labels = spec?.template?.metadata?.labels ?? {};
    if (selector.length === 0) errors.push(required('spec.selector'));
    else if (!selector.every(([key, value]) => labels[key] === value))
      errors.push(invalid('spec.template.metadata.labels', labels, '`selector` does not match template `labels`'));
    if (!spec?.template) errors.push(required('spec.template'));
    else validatePodTemplate(spec.template, 'spec.template', errors);
    validateLastingTemplate(spec?.template, 'ReplicationController', errors);
  },
  selectable: { 'status.replicas': o => o.status?.replicas ?? 0 },
  columns: columns(o => formatMap(o.spec?.selector)),
});
