import { ipAddresses, serviceCIDRs } from '../resource';
import { text } from '../table/columns';
import type { IPAddress } from '../types';
import { defineKind } from './define-kind';

export const serviceCIDRKind = defineKind(serviceCIDRs, {
  subresources: { status: true },
  columns: [text('CIDRs', 'The ranges of Service addresses.', o => (o.spec?.cidrs ?? []).join(','))],
});

/** "services/default/kubernetes" */
function parentOf({ spec }: IPAddress): string {
  const { group, resource, namespace, name } = spec?.parentRef ?? {};
  return [group ? `${resource}.${group}` : resource, namespace, name].filter(part => part).join('/');
}

export const ipAddressKind = defineKind(ipAddresses, {
  shortNames: ['ip'],
  columns: [text('ParentRef', 'The object that holds the address.', parentOf)],
});
