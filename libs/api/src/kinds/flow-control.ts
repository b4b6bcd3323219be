import { flowSchemas, priorityLevelConfigurations } from '../resource';
import { ageColumn, integer, nameColumn, text } from '../table/columns';
import type { FlowSchema, PriorityLevelConfiguration } from '../types';
import { validateFlowSchema, validatePriorityLevel } from '../validation/flow-control';
import { defineKind } from './define-kind';

/** Where a schema is asked that does not say. */
const defaultPrecedence = 1000;

function missingLevel({ status }: FlowSchema): string {
  return status?.conditions?.find(condition => condition.type === 'Dangling')?.status ?? '?';
}

export const flowSchemaKind = defineKind(flowSchemas, {
  applyDefaults: ({ spec }) => {
    if (spec) spec.matchingPrecedence ||= defaultPrecedence;
  },
  validate: validateFlowSchema,
  subresources: { status: true },
  needsVersion: true,
  hasGeneration: true,
  columns: [
    nameColumn,
    text('PriorityLevel', 'The level that its requests get.', o => o.spec?.priorityLevelConfiguration?.name ?? ''),
    integer('MatchingPrecedence', 'Lower ones are asked first.', o => o.spec?.matchingPrecedence ?? 0),
    text('DistinguisherMethod', 'What makes a flow.', o => o.spec?.distinguisherMethod?.type ?? '<none>'),
    ageColumn,
    text('MissingPL', 'Whether there is no such level.', missingLevel),
  ],
});

function limitedOf(o: PriorityLevelConfiguration, read: (limited: Limited) => number | undefined): string {
  return String((o.spec?.limited && read(o.spec.limited)) ?? '<none>');
}
type Limited = NonNullable<NonNullable<PriorityLevelConfiguration['spec']>['limited']>;

export const priorityLevelConfigurationKind = defineKind(priorityLevelConfigurations, {
  applyDefaults: ({ spec }) => {
    if (spec?.type === 'Exempt') {
      spec.exempt ??= {};
      spec.exempt.nominalConcurrencyShares ??= 0;
      spec.exempt.lendablePercent ??= 0;
    }
    if (!spec?.limited) return;
    spec.limited.nominalConcurrencyShares ??= 30;
    spec.limited.lendablePercent ??= 0;
    const queuing = spec.limited.limitResponse?.queuing;
    if (!queuing) return;
    queuing.handSize ||= 8;
    queuing.queues ||= 64;
    queuing.queueLengthLimit ||= 50;
  },
  validate: validatePriorityLevel,
  subresources: { status: true },
  needsVersion: true,
  hasGeneration: true,
  columns: [
    text('Type', 'Exempt or Limited.', o => o.spec?.type ?? ''),
    text('NominalConcurrencyShares', 'Its part of the requests that are served at once.', o =>
      limitedOf(o, limited => limited.nominalConcurrencyShares),
    ),
    text('Queues', 'How many queues it has.', o => limitedOf(o, l => l.limitResponse?.queuing?.queues)),
    text('HandSize', 'How many of them a flow may use.', o => limitedOf(o, l => l.limitResponse?.queuing?.handSize)),
    text('QueueLengthLimit', 'How many requests wait in a queue.', o =>
      limitedOf(o, l => l.limitResponse?.queuing?.queueLengthLimit),
    ),
  ],
});
