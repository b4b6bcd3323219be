import { deviceClasses, resourceClaims, resourceClaimTemplates, resourceSlices } from '../resource';
import { text } from '../table/columns';
import type { ResourceClaim } from '../types';
import { defineKind } from './define-kind';

function stateOf({ metadata, status }: ResourceClaim): string {
  const states: string[] = [];
  if (metadata?.deletionTimestamp) states.push('deleted');
  if (status?.allocation) states.push('allocated');
  else if (!metadata?.deletionTimestamp) states.push('pending');
  if (status?.reservedFor?.length) states.push('reserved');
  return states.join(',');
}

export const resourceClaimKind = defineKind(resourceClaims, {
  subresources: { status: true },
  columns: [text('State', 'How far it has come.', stateOf)],
});

export const resourceClaimTemplateKind = defineKind(resourceClaimTemplates);

export const deviceClassKind = defineKind(deviceClasses, { hasGeneration: true });

export const resourceSliceKind = defineKind(resourceSlices, {
  hasGeneration: true,
  selectable: { 'spec.nodeName': o => o.spec?.nodeName, 'spec.driver': o => o.spec?.driver },
  columns: [
    text('Node', 'The node that has the devices.', o => o.spec?.nodeName ?? ''),
    text('Driver', 'Who offers them.', o => o.spec?.driver ?? ''),
    text('Pool', 'The pool that they belong to.', o => o.spec?.pool?.name ?? ''),
  ],
});
