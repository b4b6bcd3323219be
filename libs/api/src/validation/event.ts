import type { Event } from '../types';
import { invalid, required, type FieldError } from './field-error';
import { validateName } from './fields';
import { qualifiedNameProblem } from './names';

const maxLength = 128;
const maxNoteLength = 1024;
const types = ['Normal', 'Warning'];

/** What events.k8s.io asks of a new event, in the names of the core group. Source: pkg/apis/core/validation/events.go. */
export function validateNewEvent(o: Event, errors: FieldError[]): void {
  if (!o.eventTime) errors.push(required('eventTime'));
  if (!o.reportingController) errors.push(required('reportingController'));
  validateName(o.reportingController, qualifiedNameProblem, 'reportingController', errors);
  for (const field of ['reportingInstance', 'action', 'reason'] as const) {
    const value = o[field];
    if (!value) errors.push(required(field));
    else if (value.length > maxLength) errors.push(invalid(field, '', `can have at most ${maxLength} characters`));
  }
  if ((o.note?.length ?? 0) > maxNoteLength)
    errors.push(invalid('message', '', `can have at most ${maxNoteLength} characters`));
  if (!types.includes(o.type ?? '')) errors.push(invalid('type', '', `has invalid value: ${o.type ?? ''}`));
  validateSeries(o, errors);
  const unset = {
    firstTimestamp: o.deprecatedFirstTimestamp,
    lastTimestamp: o.deprecatedLastTimestamp,
    count: o.deprecatedCount,
    source: o.deprecatedSource?.component ?? o.deprecatedSource?.host,
  };
  for (const [field, value] of Object.entries(unset)) if (value) errors.push(invalid(field, '', 'needs to be unset'));
}

function validateSeries({ series }: Event, errors: FieldError[]): void {
  if (!series) return;
  if ((series.count ?? 0) < 2) errors.push(invalid('series.count', '', 'should be at least 2'));
  if (!series.lastObservedTime) errors.push(required('series.lastObservedTime'));
}

const fixed = {
  regarding: 'involvedObject',
  reason: 'reason',
  note: 'message',
  eventTime: 'eventTime',
  action: 'action',
  related: 'related',
  reportingController: 'reportingController',
  reportingInstance: 'reportingInstance',
  type: 'type',
} as const;

/** Only the series of an event goes on. */
export function validateEventUpdate(next: Event, old: Event, errors: FieldError[]): void {
  if (JSON.stringify(next.series) !== JSON.stringify(old.series)) validateSeries(next, errors);
  for (const [field, name] of Object.entries(fixed)) {
    const [after, before] = [next, old].map(o =>
      JSON.stringify((o as unknown as Record<string, unknown>)[field] ?? null),
    );
    if (after !== before) errors.push(invalid(name, next[field as keyof Event] ?? null, 'field is immutable'));
  }
}
