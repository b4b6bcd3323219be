import { volumeAttachments } from '../resource';
import { text } from '../table/columns';
import type { VolumeAttachment } from '../types';
import { defineKind } from './define-kind';

export const volumeAttachmentKind = defineKind(volumeAttachments, {
  subresources: { status: true },
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
