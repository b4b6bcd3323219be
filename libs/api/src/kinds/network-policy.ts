import { networkPolicies } from '../resource';
import { text } from '../table/columns';
import { defineKind } from './define-kind';
import { formatSelector } from './selector-column';

export const networkPolicyKind = defineKind(networkPolicies, {
  shortNames: ['netpol'],
  hasGeneration: true,
  columns: [text('Pod-Selector', 'The pods that it applies to.', o => formatSelector(o.spec?.podSelector))],
});
