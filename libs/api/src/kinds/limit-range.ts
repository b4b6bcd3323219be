import { limitRanges } from '../resource';
import { createdAtColumn, nameColumn } from '../table/columns';
import { defineKind } from './define-kind';

export const limitRangeKind = defineKind(limitRanges, {
  shortNames: ['limits'],
  columns: [nameColumn, createdAtColumn],
});
