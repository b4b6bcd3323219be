import { formatTime } from '@naru/foundation';
import { deepEqual, type CustomResourceDefinition, type CustomResourceNames } from '@naru/api';

type Status = NonNullable<CustomResourceDefinition['status']>;
type Condition = NonNullable<Status['conditions']>[number];

/** What other definitions of the group have been given. */
export interface TakenNames {
  resources: ReadonlySet<string>;
  kinds: ReadonlySet<string>;
}

export function takenNames(others: readonly CustomResourceDefinition[]): TakenNames {
  const resources = new Set<string>();
  const kinds = new Set<string>();
  for (const { status } of others) {
    const names = status?.acceptedNames;
    if (!names) continue;
    for (const name of [names.plural, names.singular, ...(names.shortNames ?? [])]) if (name) resources.add(name);
    for (const kind of [names.kind, names.listKind]) if (kind) kinds.add(kind);
  }
  return { resources, kinds };
}

/**
 * The status that a definition should have: its names as far as they are free, and whether it is established. Source:
 * apiextensions-apiserver controller/status/naming_controller.go and controller/establish.
 */
export function nextStatus(crd: CustomResourceDefinition, taken: TakenNames, nowMs: number): Status {
  const { names: wanted } = crd.spec;
  const before = crd.status?.acceptedNames;
  const accepted: CustomResourceNames = { ...(before ?? { plural: '', kind: '' }) };
  let conflict: { reason: string; message: string } | undefined;
  const claim = (name: string, old: string | undefined, used: ReadonlySet<string>, reason: string): boolean => {
    if (name === old || !used.has(name)) return true;
    conflict = { reason, message: `${JSON.stringify(name)} is already in use` };
    return false;
  };
  const { singular = '', listKind = '', shortNames = [] } = wanted;
  if (claim(wanted.plural, before?.plural, taken.resources, 'PluralConflict')) accepted.plural = wanted.plural;
  if (claim(singular, before?.singular, taken.resources, 'SingularConflict')) accepted.singular = singular;
  const free = shortNames.map(
    name => before?.shortNames?.includes(name) || claim(name, undefined, taken.resources, 'ShortNamesConflict'),
  );
  if (free.every(Boolean)) {
    if (wanted.shortNames) accepted.shortNames = wanted.shortNames;
    else delete accepted.shortNames;
  }
  if (claim(wanted.kind, before?.kind, taken.kinds, 'KindConflict')) accepted.kind = wanted.kind;
  if (claim(listKind, before?.listKind, taken.kinds, 'ListKindConflict')) accepted.listKind = listKind;
  if (wanted.categories) accepted.categories = wanted.categories;
  else delete accepted.categories;
  const status: Status = { ...crd.status, acceptedNames: accepted };
  const namesAccepted = conflict
    ? { type: 'NamesAccepted', status: 'False', ...conflict }
    : { type: 'NamesAccepted', status: 'True', reason: 'NoConflicts', message: 'no conflicts found' };
  setCondition(status, namesAccepted, nowMs);
  const established = status.conditions?.find(({ type }) => type === 'Established');
  // Once established, always: objects may exist.
  if (established?.status !== 'True')
    setCondition(
      status,
      conflict
        ? { type: 'Established', status: 'False', reason: 'NotAccepted', message: 'not all names are accepted' }
        : {
            type: 'Established',
            status: 'True',
            reason: 'InitialNamesAccepted',
            message: 'the initial names have been accepted',
          },
      nowMs,
    );
  return status;
}

/** Keeps the time of the last change of the condition's status. */
export function setCondition(status: Status, wanted: Omit<Condition, 'lastTransitionTime'>, nowMs: number): void {
  const conditions = status.conditions ?? [];
  const known = conditions.find(({ type }) => type === wanted.type);
  if (known && deepEqual({ ...known, lastTransitionTime: undefined }, { ...wanted, lastTransitionTime: undefined }))
    return;
  const since = known?.status === wanted.status ? known.lastTransitionTime : formatTime(nowMs);
  const next = { ...wanted, lastTransitionTime: since } as Condition;
  status.conditions = known
    ? conditions.map(condition => (condition === known ? next : condition))
    : [...conditions, next];
}
