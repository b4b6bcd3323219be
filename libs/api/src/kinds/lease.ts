import { leases } from '../resource';
import { text } from '../table/columns';
import { invalid } from '../validation/field-error';
import { defineKind } from './define-kind';

export const leaseKind = defineKind(leases, {
  needsVersion: true,
  validate: ({ spec }, errors) => {
    if (spec?.leaseDurationSeconds !== undefined && spec.leaseDurationSeconds <= 0)
      errors.push(invalid('spec.leaseDurationSeconds', spec.leaseDurationSeconds, 'must be greater than 0'));
    if (spec?.leaseTransitions !== undefined && spec.leaseTransitions < 0)
      errors.push(invalid('spec.leaseTransitions', spec.leaseTransitions, 'must be greater than or equal to 0'));
    if (spec?.holderIdentity === '') errors.push(invalid('spec.holderIdentity', '', 'must not be empty'));
  },
  columns: [text('Holder', 'The identity of the holder.', o => o.spec?.holderIdentity ?? '')],
});
