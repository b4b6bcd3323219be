import { coreEvents, events } from '../resource';
import type { TableColumn } from '../table/column';
import { nameColumn, text, wide } from '../table/columns';
import { since } from '../table/duration';
import type { CoreEvent, Event } from '../types';
import { invalid } from '../validation/field-error';
import { validateEventUpdate, validateNewEvent } from '../validation/event';
import { defineKind } from './define-kind';

function firstSeen(o: CoreEvent, nowMs: number): string {
  return since(o.firstTimestamp || o.eventTime, nowMs);
}

function lastSeen(o: CoreEvent, nowMs: number): string {
  if (o.series) return since(o.series.lastObservedTime, nowMs);
  return o.lastTimestamp ? since(o.lastTimestamp, nowMs) : firstSeen(o, nowMs);
}

function objectOf({ involvedObject }: CoreEvent): string {
  const kind = involvedObject?.kind?.toLowerCase() ?? '';
  return involvedObject?.name ? `${kind}/${involvedObject.name}` : kind;
}

function sourceOf(o: CoreEvent): string {
  const component = o.source?.component || o.reportingComponent || '';
  const host = o.source?.host || (o.source?.component ? '' : o.reportingInstance) || '';
  return host ? `${component}, ${host}` : component;
}

const columns: TableColumn<CoreEvent>[] = [
  text('Last Seen', 'When it was last seen.', lastSeen),
  text('Type', 'Normal or Warning.', o => o.type ?? ''),
  text('Reason', 'Why, in one word.', o => o.reason ?? ''),
  text('Object', 'What it is about.', objectOf),
  wide('Subobject', 'Which part of the object.', o => o.involvedObject?.fieldPath ?? ''),
  wide('Source', 'Who saw it.', sourceOf),
  text('Message', 'What happened.', o => (o.message ?? '').trim()),
  wide('First Seen', 'When it was first seen.', firstSeen),
  wide('Count', 'How often.', o => String(o.series?.count ?? (o.count || 1))),
  { ...nameColumn, priority: 1 },
];

export const coreEventKind = defineKind(coreEvents, {
  shortNames: ['ev'],
  validateCreate: (o, errors) => {
    const about = o.involvedObject?.namespace ?? '';
    const own = o.metadata?.namespace ?? '';
    // Events about cluster-scoped objects live in "default".
    if (about !== own && !(about === '' && (own === 'default' || own === 'kube-system')))
      errors.push(invalid('involvedObject.namespace', about, 'does not match event.namespace'));
  },
  selectable: {
    'involvedObject.kind': o => o.involvedObject?.kind,
    'involvedObject.namespace': o => o.involvedObject?.namespace,
    'involvedObject.name': o => o.involvedObject?.name,
    'involvedObject.uid': o => o.involvedObject?.uid,
    'involvedObject.apiVersion': o => o.involvedObject?.apiVersion,
    'involvedObject.resourceVersion': o => o.involvedObject?.resourceVersion,
    'involvedObject.fieldPath': o => o.involvedObject?.fieldPath,
    reason: o => o.reason,
    reportingComponent: o => o.reportingComponent,
    source: o => o.source?.component || o.reportingComponent,
    type: o => o.type,
  },
  columns,
});

/** Fields that the versions call differently, as [core, events.k8s.io]. */
const renamed = [
  ['involvedObject', 'regarding'],
  ['message', 'note'],
  ['source', 'deprecatedSource'],
  ['firstTimestamp', 'deprecatedFirstTimestamp'],
  ['lastTimestamp', 'deprecatedLastTimestamp'],
  ['count', 'deprecatedCount'],
  ['reportingComponent', 'reportingController'],
] as const;
const toEvents = new Map<string, string>(renamed);
const toCore = new Map<string, string>(renamed.map(([core, other]) => [other, core]));

function rename(o: object, names: ReadonlyMap<string, string>, apiVersion: string): Record<string, unknown> {
  const renamedObject: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(o)) renamedObject[names.get(key) ?? key] = value;
  renamedObject['apiVersion'] = apiVersion;
  return renamedObject;
}

export function eventToCore(o: Event): CoreEvent {
  return rename(o, toCore, 'v1') as unknown as CoreEvent;
}

export function eventFromCore(o: CoreEvent): Event {
  return rename(o, toEvents, 'events.k8s.io/v1') as unknown as Event;
}

export const eventKind = defineKind(events, {
  shortNames: ['ev'],
  storedAs: {
    type: coreEvents,
    toStored: eventToCore,
    fromStored: stored => eventFromCore(stored as CoreEvent),
  },
  validateCreate: (o, errors) => {
    const about = o.regarding?.namespace ?? '';
    const own = o.metadata?.namespace ?? '';
    if (about !== own && !(about === '' && (own === 'default' || own === 'kube-system')))
      errors.push(invalid('involvedObject.namespace', about, 'does not match event.namespace'));
    validateNewEvent(o, errors);
  },
  validateUpdate: validateEventUpdate,
  selectable: {
    'regarding.kind': o => o.regarding?.kind,
    'regarding.namespace': o => o.regarding?.namespace,
    'regarding.name': o => o.regarding?.name,
    'regarding.uid': o => o.regarding?.uid,
    'regarding.apiVersion': o => o.regarding?.apiVersion,
    'regarding.resourceVersion': o => o.regarding?.resourceVersion,
    'regarding.fieldPath': o => o.regarding?.fieldPath,
    reason: o => o.reason,
    reportingController: o => o.reportingController,
    type: o => o.type,
  },
  columns: columns.map(c => ({ ...c, cell: (o: Event, nowMs: number) => c.cell(eventToCore(o), nowMs) })),
});
