import { priorityClasses } from '../resource';
import { ageColumn, integer, nameColumn, text } from '../table/columns';
import { forbidden, invalid, notSupported } from '../validation/field-error';
import { defineKind } from './define-kind';

/** Above this are the system's own. */
const highestUserValue = 1_000_000_000;
const systemPrefix = 'system-';
const systemClasses: Record<string, number> = {
  'system-cluster-critical': 2_000_000_000,
  'system-node-critical': 2_000_001_000,
};

export const priorityClassKind = defineKind(priorityClasses, {
  shortNames: ['pc'],
  hasGeneration: true,
  applyDefaults: o => {
    o.value ??= 0;
    o.preemptionPolicy ||= 'PreemptLowerPriority';
  },
  validate: (o, errors) => {
    const name = o.metadata?.name ?? '';
    if (name.startsWith(systemPrefix)) {
      if (systemClasses[name] !== o.value)
        errors.push(
          forbidden(
            'metadata.name',
            `priority class names with '${systemPrefix}' prefix are reserved for system use only`,
          ),
        );
    } else if ((o.value ?? 0) > highestUserValue) {
      errors.push(forbidden('value', `maximum allowed value of a user defined priority is ${highestUserValue}`));
    }
    if (o.preemptionPolicy !== 'Never' && o.preemptionPolicy !== 'PreemptLowerPriority')
      errors.push(notSupported('preemptionPolicy', o.preemptionPolicy, ['Never', 'PreemptLowerPriority']));
  },
  validateUpdate: (next, old, errors) => {
    if (next.value !== old.value) errors.push(forbidden('value', 'may not be changed in an update.'));
    if (next.preemptionPolicy !== old.preemptionPolicy)
      errors.push(invalid('preemptionPolicy', next.preemptionPolicy, 'field is immutable'));
  },
  columns: [
    nameColumn,
    integer('Value', 'The priority that pods of the class get.', o => o.value ?? 0),
    {
      ...text('Global-Default', 'Whether pods without a class get it.', o => o.globalDefault ?? false),
      type: 'boolean',
    },
    ageColumn,
    text('PreemptionPolicy', 'Whether its pods preempt others.', o => o.preemptionPolicy ?? ''),
  ],
});
