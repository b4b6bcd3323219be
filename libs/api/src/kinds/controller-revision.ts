import { deepEqual } from '../deep-equal';
import { controllerRevisions } from '../resource';
import { integer, text } from '../table/columns';
import type { ControllerRevision } from '../types';
import { invalid, required } from '../validation/field-error';
import { defineKind } from './define-kind';

function controllerOf(o: ControllerRevision): string {
  const owner = o.metadata?.ownerReferences?.find(r => r.controller);
  if (!owner) return '<none>';
  const slash = owner.apiVersion.indexOf('/');
  const group = slash < 0 ? '' : `.${owner.apiVersion.slice(0, slash)}`;
  return `${owner.kind.toLowerCase()}${group}/${owner.name}`;
}

export const controllerRevisionKind = defineKind(controllerRevisions, {
  validate: (o, errors) => {
    if ((o.revision ?? 0) < 0) errors.push(invalid('revision', o.revision, 'must be greater than or equal to 0'));
    if (o.data === undefined || o.data === null) errors.push(required('data', 'data is mandatory'));
  },
  validateUpdate: (next, old, errors) => {
    if (!deepEqual(next.data, old.data)) errors.push(invalid('data', next.data, 'field is immutable'));
  },
  columns: [
    text('Controller', 'Controller of the object.', controllerOf),
    integer('Revision', 'The revision of the state in data.', o => o.revision ?? 0),
  ],
});
