import type { KubeObject, PodTemplateSpec } from '../types';
import type { Cell, TableColumn } from './column';
import { since } from './duration';

type CellOf<T extends KubeObject> = (o: T, nowMs: number) => Cell;

function column<T extends KubeObject>(
  name: string,
  type: TableColumn['type'],
  priority: 0 | 1,
  description: string,
  cell: CellOf<T>,
): TableColumn<T> {
  return { name, type, priority, description, cell };
}

export function text<T extends KubeObject>(name: string, description: string, cell: CellOf<T>): TableColumn<T> {
  return column(name, 'string', 0, description, cell);
}

export function integer<T extends KubeObject>(name: string, description: string, cell: CellOf<T>): TableColumn<T> {
  return column(name, 'integer', 0, description, cell);
}

/** Shown with -o wide only. */
export function wide<T extends KubeObject>(name: string, description: string, cell: CellOf<T>): TableColumn<T> {
  return column(name, 'string', 1, description, cell);
}

export const nameColumn: TableColumn = {
  name: 'Name',
  type: 'string',
  format: 'name',
  priority: 0,
  description: 'Name must be unique within a namespace.',
  cell: o => o.metadata?.name ?? '',
};

export const ageColumn: TableColumn = text('Age', 'The time since the object was created.', (o, nowMs) =>
  since(o.metadata?.creationTimestamp, nowMs),
);

export const createdAtColumn: TableColumn = {
  ...column('Created At', 'date', 0, 'When the object was created.', o => o.metadata?.creationTimestamp ?? null),
};

interface Templated extends KubeObject {
  spec?: { template?: PodTemplateSpec | undefined } | undefined;
}

/** The wide columns of the kinds with a pod template. */
export function containerColumns<T extends KubeObject>(
  template: (o: T) => PodTemplateSpec | undefined = o => (o as Templated).spec?.template,
): TableColumn<T>[] {
  return [
    wide('Containers', 'Names of each container in the template.', o => containersOf(template(o), c => c.name)),
    wide('Images', 'Images referenced by each container in the template.', o =>
      containersOf(template(o), c => c.image ?? ''),
    ),
  ];
}

function containersOf(
  template: PodTemplateSpec | undefined,
  read: (c: { name: string; image?: string | undefined }) => string,
): string {
  return (template?.spec?.containers ?? []).map(read).join(',');
}

/** The times a condition's type has status "True". */
export function isConditionTrue(
  conditions: readonly { type: string; status: string }[] | undefined,
  type: string,
): boolean {
  return conditions?.some(c => c.type === type && c.status === 'True') ?? false;
}

const shortAccessModes: Record<string, string> = {
  ReadWriteOnce: 'RWO',
  ReadOnlyMany: 'ROX',
  ReadWriteMany: 'RWX',
  ReadWriteOncePod: 'RWOP',
};

/** "RWO,ROX" */
export function accessModes(modes: readonly string[] | undefined): string {
  const given = new Set(modes ?? []);
  return Object.entries(shortAccessModes)
    .filter(([mode]) => given.has(mode))
    .map(([, short]) => short)
    .join(',');
}

/** "a=b,c=d", or <none>. */
export function formatMap(map: Record<string, string> | undefined): string {
  const pairs = Object.entries(map ?? {}).map(([key, value]) => `${key}=${value}`);
  return pairs.length === 0 ? '<none>' : pairs.sort().join(',');
}

/** At most `max` items, then how many are left. */
export function firstFew(items: readonly string[], max: number, separator: string, none: string): string {
  if (items.length === 0) return none;
  const shown = items.slice(0, max).join(separator);
  return items.length > max ? `${shown} + ${items.length - max} more...` : shown;
}
