import { defaultPodTemplate } from '../defaults/pod-spec';
import { podTemplates } from '../resource';
import { containerColumns, formatMap, nameColumn, text } from '../table/columns';
import type { PodTemplate } from '../types';
import { validatePodTemplate } from '../validation/pod/pod-spec';
import { defineKind } from './define-kind';

export const podTemplateKind = defineKind(podTemplates, {
  hasGeneration: o => o.template,
  applyDefaults: o => defaultPodTemplate(o.template),
  validate: (o, errors) => validatePodTemplate(o.template, 'template', errors),
  columns: [
    nameColumn,
    ...containerColumns<PodTemplate>(o => o.template).map(column => ({ ...column, priority: 0 })),
    text('Pod Labels', 'The labels of the template.', o => formatMap(o.template?.metadata?.labels)),
  ],
});
