import type { NetworkPolicy } from '../types';
import { isStrictSubset, validateCidr } from './cidr';
import { forbidden, invalid, notSupported, required, type FieldError } from './field-error';
import { validateLabelSelector } from './label-selector';
import { isPort, portRangeMessage } from './names';
import { validatePortOrName } from './pod/probes';

type Rule = NonNullable<NonNullable<NetworkPolicy['spec']>['ingress']>[number];
type Port = NonNullable<Rule['ports']>[number];
type Peer = NonNullable<Rule['from']>[number];

const protocols = ['SCTP', 'TCP', 'UDP'];
const policyTypes = ['Egress', 'Ingress'];

/** Source: pkg/apis/networking/validation. */
export function validateNetworkPolicy({ spec }: NetworkPolicy, errors: FieldError[]): void {
  validateLabelSelector(spec?.podSelector, 'spec.podSelector', errors);
  for (const [index, rule] of (spec?.ingress ?? []).entries())
    validateRule(rule.ports, rule.from, `spec.ingress[${index}]`, 'from', errors);
  for (const [index, rule] of (spec?.egress ?? []).entries())
    validateRule(rule.ports, rule.to, `spec.egress[${index}]`, 'to', errors);
  const types = spec?.policyTypes ?? [];
  if (types.length > policyTypes.length)
    errors.push(invalid('spec.policyTypes', types, 'may not specify more than two policyTypes'));
  else
    for (const [index, type] of types.entries())
      if (!policyTypes.includes(type)) errors.push(notSupported(`spec.policyTypes[${index}]`, type, policyTypes));
}

function validateRule(
  ports: readonly Port[] | undefined,
  peers: readonly Peer[] | undefined,
  path: string,
  side: 'from' | 'to',
  errors: FieldError[],
): void {
  for (const [index, port] of (ports ?? []).entries()) validatePort(port, `${path}.ports[${index}]`, errors);
  for (const [index, peer] of (peers ?? []).entries()) validatePeer(peer, `${path}.${side}[${index}]`, errors);
}

function validatePort({ protocol, port, endPort }: Port, path: string, errors: FieldError[]): void {
  if (protocol !== undefined && !protocols.includes(protocol))
    errors.push(notSupported(`${path}.protocol`, protocol, protocols));
  if (port !== undefined) validatePortOrName(port, `${path}.port`, errors);
  if (endPort === undefined) return;
  const at = `${path}.endPort`;
  if (port === undefined) errors.push(invalid(at, endPort, 'may not be specified when `port` is not specified'));
  else if (typeof port === 'string')
    errors.push(invalid(at, endPort, 'may not be specified when `port` is non-numeric'));
  else {
    if (endPort < port) errors.push(invalid(at, endPort, 'must be greater than or equal to `port`'));
    if (!isPort(endPort)) errors.push(invalid(at, endPort, portRangeMessage));
  }
}

function validatePeer({ podSelector, namespaceSelector, ipBlock }: Peer, path: string, errors: FieldError[]): void {
  validateLabelSelector(podSelector, `${path}.podSelector`, errors);
  validateLabelSelector(namespaceSelector, `${path}.namespaceSelector`, errors);
  if (ipBlock) validateBlock(ipBlock, `${path}.ipBlock`, errors);
  if (!podSelector && !namespaceSelector && !ipBlock) errors.push(required(path, 'must specify a peer'));
  else if (ipBlock && (podSelector || namespaceSelector))
    errors.push(forbidden(path, 'may not specify both ipBlock and another peer'));
}

function validateBlock(block: NonNullable<Peer['ipBlock']>, path: string, errors: FieldError[]): void {
  const outer = validateCidr(block.cidr, `${path}.cidr`, errors);
  for (const [index, text] of (block.except ?? []).entries()) {
    const at = `${path}.except[${index}]`;
    const inner = validateCidr(text, at, errors);
    if (inner && outer && !isStrictSubset(inner, outer))
      errors.push(invalid(at, text, 'must be a strict subset of `cidr`'));
  }
}
