import { volumeAttributesClasses } from '../resource';
import { text } from '../table/columns';
import { defineKind } from './define-kind';

export const volumeAttributesClassKind = defineKind(volumeAttributesClasses, {
  shortNames: ['vac'],
  columns: [text('DriverName', 'The driver that knows the parameters.', o => o.driverName ?? '')],
});
