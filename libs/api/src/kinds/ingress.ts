import { ingressClasses, ingresses } from '../resource';
import { firstFew, text } from '../table/columns';
import type { Ingress, IngressClass } from '../types';
import { invalid } from '../validation/field-error';
import {
  ingressClassAnnotation,
  validateIngress,
  validateIngressClass,
  validateNewIngress,
} from '../validation/ingress';
import { validateIngressPoints } from '../validation/load-balancer-status';
import { immutableMessage } from '../validation/workload';
import { defineKind } from './define-kind';

const maxHosts = 3;
const maxAddressLength = 16;

function hostsOf({ spec }: Ingress): string {
  const hosts = (spec?.rules ?? []).filter(rule => rule.http).map(rule => rule.host || '*');
  return firstFew(hosts, maxHosts, ',', '*');
}

function addressOf({ status }: Ingress): string {
  const all = (status?.loadBalancer?.ingress ?? []).map(({ ip, hostname }) => ip || hostname || '');
  const text = [...new Set(all.filter(address => address !== ''))].join(',');
  return text.length > maxAddressLength ? `${text.slice(0, maxAddressLength - 3)}...` : text;
}

export const ingressKind = defineKind(ingresses, {
  shortNames: ['ing'],
  subresources: { status: true },
  hasGeneration: true,
  validate: validateIngress,
  validateCreate: validateNewIngress,
  validateStatusUpdate: ({ status }, _old, errors) => validateIngressPoints(status?.loadBalancer?.ingress, errors),
  warnings: o =>
    o.metadata?.annotations?.[ingressClassAnnotation] === undefined
      ? []
      : [`annotation "${ingressClassAnnotation}" is deprecated, please use 'spec.ingressClassName' instead`],
  columns: [
    text('Class', 'The name of the IngressClass.', o => o.spec?.ingressClassName ?? '<none>'),
    text('Hosts', 'Hosts that requests are matched against.', hostsOf),
    text('Address', 'Where the load balancer answers.', addressOf),
    text('Ports', 'The ports that are open.', o => (o.spec?.tls?.length ? '80, 443' : '80')),
  ],
});

function parametersOf({ spec }: IngressClass): string {
  const parameters = spec?.parameters;
  if (!parameters) return '<none>';
  const group = parameters.apiGroup ? `.${parameters.apiGroup}` : '';
  return `${parameters.kind}${group}/${parameters.name}`;
}

export const ingressClassKind = defineKind(ingressClasses, {
  hasGeneration: true,
  applyDefaults: ({ spec }) => {
    if (spec?.parameters) spec.parameters.scope ??= 'Cluster';
  },
  validate: validateIngressClass,
  validateUpdate: (next, old, errors) => {
    if (next.spec?.controller !== old.spec?.controller)
      errors.push(invalid('spec.controller', next.spec?.controller, immutableMessage));
  },
  columns: [
    text('Controller', 'Who implements the class.', o => o.spec?.controller ?? ''),
    text('Parameters', 'An object with more configuration.', parametersOf),
  ],
});
