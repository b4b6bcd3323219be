import { networkPolicies } from '../resource';
import { text } from '../table/columns';
import { validateNetworkPolicy } from '../validation/network-policy';
import { defineKind } from './define-kind';
import { formatSelector } from './selector-column';

export const networkPolicyKind = defineKind(networkPolicies, {
  shortNames: ['netpol'],
  hasGeneration: true,
  applyDefaults: ({ spec }) => {
    if (!spec) return;
    for (const rule of [...(spec.ingress ?? []), ...(spec.egress ?? [])])
      for (const port of rule.ports ?? []) port.protocol ??= 'TCP';
    // What a policy has egress rules for it is about, and always about ingress.
    if (!spec.policyTypes?.length) spec.policyTypes = spec.egress?.length ? ['Ingress', 'Egress'] : ['Ingress'];
  },
  validate: validateNetworkPolicy,
  columns: [text('Pod-Selector', 'The pods that it applies to.', o => formatSelector(o.spec?.podSelector))],
});
