import { podDisruptionBudgets } from '../resource';
import { integer, text } from '../table/columns';
import { invalid, notSupported } from '../validation/field-error';
import { validateIntOrPercent } from '../validation/int-or-percent';
import { validateLabelSelector } from '../validation/label-selector';
import { defineKind } from './define-kind';

export const podDisruptionBudgetKind = defineKind(podDisruptionBudgets, {
  needsVersion: true,
  shortNames: ['pdb'],
  subresources: { status: true },
  hasGeneration: true,
  validate: ({ spec }, errors) => {
    if (spec?.minAvailable !== undefined && spec.maxUnavailable !== undefined)
      errors.push(invalid('spec', spec, 'minAvailable and maxUnavailable cannot be both set'));
    validateIntOrPercent(spec?.minAvailable, 'spec.minAvailable', errors);
    validateIntOrPercent(spec?.maxUnavailable, 'spec.maxUnavailable', errors);
    validateLabelSelector(spec?.selector, 'spec.selector', errors);
    const policy = spec?.unhealthyPodEvictionPolicy;
    if (policy !== undefined && policy !== 'IfHealthyBudget' && policy !== 'AlwaysAllow')
      errors.push(notSupported('spec.unhealthyPodEvictionPolicy', policy, ['AlwaysAllow', 'IfHealthyBudget']));
  },
  columns: [
    text('Min Available', 'The minimum number of pods that must be available.', o =>
      String(o.spec?.minAvailable ?? 'N/A'),
    ),
    text('Max Unavailable', 'The maximum number of pods that may be unavailable.', o =>
      String(o.spec?.maxUnavailable ?? 'N/A'),
    ),
    integer(
      'Allowed Disruptions',
      'How many pods may be disrupted at this time.',
      o => o.status?.disruptionsAllowed ?? 0,
    ),
  ],
});
