import { volumeAttachments } from '../resource';
import { text } from '../table/columns';
import type { VolumeAttachment } from '../types';
import { deepEqual } from '../deep-equal';
import { validateDriverName } from '../validation/csi';
import { forbidden, invalid, required } from '../validation/field-error';
import { validateRequiredName } from '../validation/fields';
import { dnsSubdomainProblem } from '../validation/names';
import { immutableMessage } from '../validation/workload';
import { defineKind } from './define-kind';

export const volumeAttachmentKind = defineKind(volumeAttachments, {
  needsVersion: true,
  subresources: { status: true },
  validate: ({ spec }, errors) => {
    validateDriverName(spec?.attacher, 'spec.attacher', errors);
    const { persistentVolumeName, inlineVolumeSpec } = spec?.source ?? {};
    const oneOf = 'must specify exactly one of inlineVolumeSpec and persistentVolumeName';
    if (!persistentVolumeName && !inlineVolumeSpec) errors.push(required('spec.source', oneOf));
    else if (persistentVolumeName && inlineVolumeSpec) errors.push(forbidden('spec.source', oneOf));
    validateRequiredName(spec?.nodeName, dnsSubdomainProblem, 'spec.nodeName', errors);
  },
  validateUpdate: (next, old, errors) => {
    if (!deepEqual(next.spec, old.spec)) errors.push(invalid('spec', next.spec, immutableMessage));
  },
  columns: [
    text('Attacher', 'Who attaches.', o => o.spec?.attacher ?? ''),
    text('PV', 'The volume.', o => o.spec?.source?.persistentVolumeName ?? ''),
    text('Node', 'Where to.', o => o.spec?.nodeName ?? ''),
    {
      ...text('Attached', 'Whether it is attached.', (o: VolumeAttachment) => o.status?.attached ?? false),
      type: 'boolean',
    },
  ],
});
