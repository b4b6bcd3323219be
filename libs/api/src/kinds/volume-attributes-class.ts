import { volumeAttributesClasses } from '../resource';
import { text } from '../table/columns';
import { deepEqual } from '../deep-equal';
import { validateDriverName } from '../validation/csi';
import { invalid, required } from '../validation/field-error';
import { immutableMessage } from '../validation/workload';
import { defineKind } from './define-kind';

export const volumeAttributesClassKind = defineKind(volumeAttributesClasses, {
  shortNames: ['vac'],
  validate: (o, errors) => {
    validateDriverName(o.driverName, 'driverName', errors);
    if (Object.keys(o.parameters ?? {}).length === 0)
      errors.push(required('parameters', 'must contain at least one key/value pair'));
  },
  validateUpdate: (next, old, errors) => {
    for (const field of ['driverName', 'parameters'] as const)
      if (!deepEqual(next[field], old[field])) errors.push(invalid(field, next[field], immutableMessage));
  },
  columns: [text('DriverName', 'The driver that knows the parameters.', o => o.driverName ?? '')],
});
