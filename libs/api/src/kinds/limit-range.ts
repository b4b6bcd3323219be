import { limitRanges } from '../resource';
import { createdAtColumn, nameColumn } from '../table/columns';
import { validateLimitRange } from '../validation/limit-range';
import { defineKind } from './define-kind';

export const limitRangeKind = defineKind(limitRanges, {
  shortNames: ['limits'],
  applyDefaults: ({ spec }) => {
    for (const item of spec?.limits ?? []) {
      if (item.type !== 'Container') continue;
      // What is not said of a container's default follows from its bounds.
      const limits = { ...item.max, ...item.default };
      if (Object.keys(limits).length > 0) item.default = limits;
      const requests = { ...item.min, ...item.default, ...item.defaultRequest };
      if (Object.keys(requests).length > 0) item.defaultRequest = requests;
    }
  },
  validate: validateLimitRange,
  columns: [nameColumn, createdAtColumn],
});
