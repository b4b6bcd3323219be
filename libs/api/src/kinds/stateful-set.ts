import { deepEqual } from '../deep-equal';
import { defaultPodTemplate } from '../defaults/pod-spec';
import { statefulSets } from '../resource';
import { ageColumn, containerColumns, nameColumn, text } from '../table/columns';
import type { PodTemplateSpec, StatefulSet } from '../types';
import { forbidden, invalid, notSupported, type FieldError } from '../validation/field-error';
import { defaultRollingUpdate } from '../validation/rolling-update';
import { validateLastingTemplate, validateNonNegative, validateSelectorAndTemplate } from '../validation/workload';
import { dnsLabelProblem } from '../validation/names';
import { defineKind } from './define-kind';

function applyDefaults({ spec }: StatefulSet): void {
  if (!spec) return;
  spec.podManagementPolicy ||= 'OrderedReady';
  defaultRollingUpdate((spec.updateStrategy ??= {}), { partition: 0 });
  const retention = (spec.persistentVolumeClaimRetentionPolicy ??= {});
  retention.whenDeleted ||= 'Retain';
  retention.whenScaled ||= 'Retain';
  spec.replicas ??= 1;
  spec.revisionHistoryLimit ??= 10;
  defaultPodTemplate(spec.template);
  for (const claim of spec.volumeClaimTemplates ?? []) {
    claim.apiVersion = 'v1';
    claim.kind = 'PersistentVolumeClaim';
    if (claim.spec) claim.spec.volumeMode ??= 'Filesystem';
    claim.status = { phase: 'Pending' };
  }
}

const mutable = new Set([
  'replicas',
  'ordinals',
  'template',
  'updateStrategy',
  'revisionHistoryLimit',
  'persistentVolumeClaimRetentionPolicy',
  'minReadySeconds',
]);

function validateUpdate(next: StatefulSet, old: StatefulSet, errors: FieldError[]): void {
  const left = (next.spec ?? {}) as Record<string, unknown>;
  const right = (old.spec ?? {}) as Record<string, unknown>;
  const keys = new Set([...Object.keys(left), ...Object.keys(right)]);
  if ([...keys].some(key => !mutable.has(key) && !deepEqual(left[key], right[key])))
    errors.push(
      forbidden(
        'spec',
        "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden",
      ),
    );
}

/** The template as its pods will have it: each claim template is a volume, in place of one of that name. */
function withClaims({ template, volumeClaimTemplates = [] }: NonNullable<StatefulSet['spec']>): PodTemplateSpec {
  const names = volumeClaimTemplates.flatMap(({ metadata }) => metadata?.name ?? []);
  if (!template?.spec || names.length === 0) return template;
  const others = (template.spec.volumes ?? []).filter(({ name }) => !names.includes(name));
  const claimed = names.map(name => ({ name, persistentVolumeClaim: { claimName: name } }));
  return { ...template, spec: { ...template.spec, volumes: [...others, ...claimed] } };
}

export const statefulSetKind = defineKind(statefulSets, {
  shortNames: ['sts'],
  categories: ['all'],
  subresources: {
    status: true,
    scale: { specReplicas: 'spec.replicas', statusReplicas: 'status.replicas', selector: 'spec.selector' },
  },
  hasGeneration: true,
  nameRule: dnsLabelProblem,
  applyDefaults,
  validate: ({ spec }, errors) => {
    validateNonNegative(spec?.replicas, 'spec.replicas', errors);
    validateNonNegative(spec?.minReadySeconds, 'spec.minReadySeconds', errors);
    validateNonNegative(spec?.ordinals?.start, 'spec.ordinals.start', errors);
    validateNonNegative(
      spec?.updateStrategy?.rollingUpdate?.partition,
      'spec.updateStrategy.rollingUpdate.partition',
      errors,
    );
    for (const field of ['whenDeleted', 'whenScaled'] as const) {
      const policy = spec?.persistentVolumeClaimRetentionPolicy?.[field] ?? 'Retain';
      const at = `spec.persistentVolumeClaimRetentionPolicy.${field}`;
      if (!['Delete', 'Retain'].includes(policy)) errors.push(notSupported(at, policy, ['Delete', 'Retain']));
    }
    validateSelectorAndTemplate(spec?.selector, spec && withClaims(spec), 'statefulset', errors);
    validateLastingTemplate(spec?.template, 'StatefulSet', errors);
    const { podManagementPolicy, updateStrategy } = spec ?? {};
    if (!['OrderedReady', 'Parallel'].includes(podManagementPolicy ?? ''))
      errors.push(invalid('spec.podManagementPolicy', podManagementPolicy, "must be 'OrderedReady' or 'Parallel'"));
    if (!['OnDelete', 'RollingUpdate'].includes(updateStrategy?.type ?? ''))
      errors.push(invalid('spec.updateStrategy', updateStrategy, "must be 'RollingUpdate' or 'OnDelete'"));
    else if (updateStrategy?.type === 'OnDelete' && updateStrategy.rollingUpdate)
      errors.push(
        invalid(
          'spec.updateStrategy.rollingUpdate',
          updateStrategy.rollingUpdate,
          "only allowed for updateStrategy 'RollingUpdate'",
        ),
      );
  },
  validateUpdate,
  columns: [
    nameColumn,
    text(
      'Ready',
      'Number of the pod with ready state',
      o => `${o.status?.readyReplicas ?? 0}/${o.spec?.replicas ?? 0}`,
    ),
    ageColumn,
    ...containerColumns<StatefulSet>(),
  ],
});
