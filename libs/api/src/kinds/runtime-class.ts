import { runtimeClasses } from '../resource';
import { text } from '../table/columns';
import { invalid } from '../validation/field-error';
import { validateRequiredName } from '../validation/fields';
import { validateLabels } from '../validation/metadata';
import { dnsLabelProblem } from '../validation/names';
import { validateAmount } from '../validation/quantities';
import { validateTolerations } from '../validation/taints';
import { immutableMessage } from '../validation/workload';
import { defineKind } from './define-kind';

export const runtimeClassKind = defineKind(runtimeClasses, {
  needsVersion: true,
  validate: ({ handler, overhead, scheduling }, errors) => {
    validateRequiredName(handler, dnsLabelProblem, 'handler', errors);
    for (const name in overhead?.podFixed)
      validateAmount(overhead.podFixed[name], `overhead.podFixed[${name}]`, errors);
    validateLabels(scheduling?.nodeSelector, 'scheduling.nodeSelector', errors);
    validateTolerations(scheduling?.tolerations, 'scheduling.tolerations', errors);
  },
  validateUpdate: (next, old, errors) => {
    if (next.handler !== old.handler) errors.push(invalid('handler', next.handler, immutableMessage));
  },
  columns: [text('Handler', 'The configuration of the container runtime that is used.', o => o.handler ?? '')],
});
