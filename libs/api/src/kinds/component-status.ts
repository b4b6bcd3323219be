import { componentStatuses } from '../resource';
import { nameColumn, text } from '../table/columns';
import type { ComponentStatus } from '../types';
import { defineKind } from './define-kind';

type Condition = NonNullable<ComponentStatus['conditions']>[number];

function healthOf(o: ComponentStatus): Condition | undefined {
  return o.conditions?.find(condition => condition.type === 'Healthy');
}

function statusOf(o: ComponentStatus): string {
  const status = healthOf(o)?.status;
  return status === 'True' ? 'Healthy' : status === undefined ? 'Unknown' : 'Unhealthy';
}

/** Asked, not stored: nobody may write it. */
export const componentStatusKind = defineKind(componentStatuses, {
  shortNames: ['cs'],
  verbs: ['get', 'list'],
  columns: [
    nameColumn,
    text('Status', 'Whether it answers its health check.', statusOf),
    text('Message', 'What it answered.', o => healthOf(o)?.message ?? ''),
    text('Error', 'Why it could not be asked.', o => healthOf(o)?.error ?? ''),
  ],
  deprecationWarning: 'v1 ComponentStatus is deprecated in v1.19+',
});
