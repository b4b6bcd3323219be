import type { AnyDefinition, KubeObject } from '@naru/api';
import type { Entry } from '../storage/entry';
import { selects } from '../storage/watch-cache';
import { parseSelection, type ListQuery, type ListReply } from './list';

/** A list of objects that are not stored. There are few of them, so it is not cut. */
export function selectVirtual(
  definition: AnyDefinition,
  objects: readonly KubeObject[],
  query: ListQuery,
  revision: number,
): ListReply {
  const selection = parseSelection(definition, '', query);
  const entries = objects.map((o): Entry => {
    const { name = '', uid = '', labels } = o.metadata ?? {};
    const bytes = Buffer.from(JSON.stringify(o));
    return { key: name, namespace: '', name, uid, revision, bytes, labels, fields: definition.selectableFields(o) };
  });
  return { entries: entries.filter(entry => selects(selection, entry)), revision, continue: '', remaining: undefined };
}
