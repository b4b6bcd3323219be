import { runtimeClasses } from '../resource';
import { text } from '../table/columns';
import { defineKind } from './define-kind';

export const runtimeClassKind = defineKind(runtimeClasses, {
  columns: [text('Handler', 'The configuration of the container runtime that is used.', o => o.handler ?? '')],
});
