import { deepEqual } from '../deep-equal';
import { deviceClasses, resourceClaims, resourceClaimTemplates, resourceSlices } from '../resource';
import { text } from '../table/columns';
import type { ResourceClaim } from '../types';
import {
  defaultClaimSpec,
  validateClaimSpec,
  validateClaimStatus,
  validateDeviceClass,
  validateSlice,
} from '../validation/devices';
import { invalid } from '../validation/field-error';
import { immutableMessage } from '../validation/workload';
import { defineKind } from './define-kind';

function stateOf({ metadata, status }: ResourceClaim): string {
  const states: string[] = [];
  if (metadata?.deletionTimestamp) states.push('deleted');
  if (status?.allocation) states.push('allocated');
  else if (!metadata?.deletionTimestamp) states.push('pending');
  if (status?.reservedFor?.length) states.push('reserved');
  return states.join(',');
}

export const resourceClaimKind = defineKind(resourceClaims, {
  subresources: { status: true },
  applyDefaults: o => defaultClaimSpec(o.spec),
  validate: (o, errors) => validateClaimSpec(o.spec, 'spec', errors),
  validateUpdate: (next, old, errors) => {
    if (!deepEqual(next.spec, old.spec)) errors.push(invalid('spec', next.spec, immutableMessage));
  },
  validateStatusUpdate: validateClaimStatus,
  columns: [text('State', 'How far it has come.', stateOf)],
});

export const resourceClaimTemplateKind = defineKind(resourceClaimTemplates, {
  applyDefaults: o => defaultClaimSpec(o.spec?.spec),
  validate: (o, errors) => validateClaimSpec(o.spec?.spec, 'spec.spec', errors),
  validateUpdate: (next, old, errors) => {
    if (!deepEqual(next.spec, old.spec)) errors.push(invalid('spec', next.spec, immutableMessage));
  },
});

export const deviceClassKind = defineKind(deviceClasses, { hasGeneration: true, validate: validateDeviceClass });

export const resourceSliceKind = defineKind(resourceSlices, {
  hasGeneration: true,
  validate: validateSlice,
  validateUpdate: (next, old, errors) => {
    for (const field of ['driver', 'nodeName', 'nodeSelector', 'allNodes'] as const)
      if (!deepEqual(next.spec?.[field], old.spec?.[field]))
        errors.push(invalid(`spec.${field}`, next.spec?.[field] ?? null, immutableMessage));
    if (next.spec?.pool?.name !== old.spec?.pool?.name)
      errors.push(invalid('spec.pool.name', next.spec?.pool?.name, immutableMessage));
  },
  selectable: { 'spec.nodeName': o => o.spec?.nodeName, 'spec.driver': o => o.spec?.driver },
  columns: [
    text('Node', 'The node that has the devices.', o => o.spec?.nodeName ?? ''),
    text('Driver', 'Who offers them.', o => o.spec?.driver ?? ''),
    text('Pool', 'The pool that they belong to.', o => o.spec?.pool?.name ?? ''),
  ],
});
