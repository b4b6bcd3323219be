import { resourceQuotas } from '../resource';
import { ageColumn, nameColumn, text } from '../table/columns';
import type { ResourceQuota } from '../types';
import { deepEqual } from '../deep-equal';
import { invalid } from '../validation/field-error';
import { validateResourceQuota, validateResourceQuotaStatus } from '../validation/resource-quota';
import { immutableMessage } from '../validation/workload';
import { defineKind } from './define-kind';

/** "cpu: 1/2, pods: 3/10" of the limits, or of all else. */
function usageOf({ status }: ResourceQuota, limits: boolean): string {
  return Object.keys(status?.hard ?? {})
    .filter(name => name.startsWith('limits') === limits)
    .sort()
    .map(name => `${name}: ${status?.used?.[name] ?? '0'}/${status?.hard?.[name]}`)
    .join(', ');
}

export const resourceQuotaKind = defineKind(resourceQuotas, {
  shortNames: ['quota'],
  subresources: { status: true },
  validate: validateResourceQuota,
  validateUpdate: (next, old, errors) => {
    const sorted = (o: ResourceQuota): string[] => [...(o.spec?.scopes ?? [])].sort();
    if (!deepEqual(sorted(next), sorted(old)))
      errors.push(invalid('spec.scopes', next.spec?.scopes ?? [], immutableMessage));
  },
  validateStatusUpdate: (next, _old, errors) => validateResourceQuotaStatus(next, errors),
  columns: [
    nameColumn,
    text('Request', 'What is used of requests and of objects.', o => usageOf(o, false)),
    text('Limit', 'What is used of limits.', o => usageOf(o, true)),
    ageColumn,
  ],
});
