import { apiServices } from '../resource';
import { text } from '../table/columns';
import type { APIService } from '../types';
import { validateApiService } from '../validation/api-service';
import { defineKind } from './define-kind';

function serviceOf({ spec }: APIService): string {
  return spec?.service ? `${spec.service.namespace}/${spec.service.name}` : 'Local';
}

/** "True", "False (FailedDiscoveryCheck)", or "Unknown" before the first check. */
function availabilityOf({ status }: APIService): string {
  const condition = status?.conditions?.find(({ type }) => type === 'Available');
  if (!condition) return 'Unknown';
  return condition.status === 'True' ? 'True' : `${condition.status} (${condition.reason ?? ''})`;
}

export const apiServiceKind = defineKind(apiServices, {
  needsVersion: true,
  categories: ['api-extensions'],
  subresources: { status: true },
  applyDefaults: ({ spec }) => {
    if (spec?.service) spec.service.port ??= 443;
  },
  validate: validateApiService,
  columns: [
    text('Service', 'Who serves the version.', serviceOf),
    text('Available', 'Whether it can be asked.', availabilityOf),
  ],
});
