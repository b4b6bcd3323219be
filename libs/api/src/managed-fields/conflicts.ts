import { StatusError } from '@naru/foundation';
import { eachMember, type FieldsV1 } from './fields-v1';
import type { ManagedEntry } from './managed-entries';
import { printPath } from './path-element';

/** Fields that somebody else owns, and that an apply would change. */
export interface Conflict {
  entry: ManagedEntry;
  fields: FieldsV1;
}

/** 409 in the words of upstream (util/managedfields/internal/conflict.go), with a cause for each field. */
export function applyConflict(conflicts: readonly Conflict[]): StatusError {
  const causes: { reason: string; message: string; field: string }[] = [];
  const groups: { manager: string; paths: string[] }[] = [];
  for (const { entry, fields } of conflicts) {
    const manager = printManager(entry);
    const paths: string[] = [];
    eachMember(fields, path => paths.push(printPath(path)));
    for (const field of paths)
      causes.push({ reason: 'FieldManagerConflict', message: `conflict with ${manager}`, field });
    groups.push({ manager, paths });
  }
  return new StatusError('Conflict', messageOf(groups, causes.length), { details: { causes } });
}

function messageOf(groups: readonly { manager: string; paths: string[] }[], count: number): string {
  const [first] = groups;
  if (count === 1 && first) return `Apply failed with 1 conflict: conflict with ${first.manager}: ${first.paths[0]}`;
  const lines = [...groups]
    .sort((a, b) => (a.manager < b.manager ? -1 : 1))
    .flatMap(({ manager, paths }) => [`conflicts with ${manager}:`, ...paths.map(path => `- ${path}`)]);
  return `Apply failed with ${count} conflicts: ${lines.join('\n')}`;
}

function printManager({ manager, subresource, operation, apiVersion }: ManagedEntry): string {
  const name = JSON.stringify(manager) + (subresource ? ` with subresource ${JSON.stringify(subresource)}` : '');
  return operation === 'Update' ? `${name} using ${apiVersion}` : name;
}
