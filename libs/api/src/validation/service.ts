import type { Service } from '../types';
import { duplicate, forbidden, invalid, notSupported, required, type FieldError } from './field-error';
import { validateAddress } from './addresses';
import { validateLabels } from './metadata';
import { dnsLabelProblem, dnsSubdomainProblem, isPort, portRangeMessage } from './names';
import { validateServiceAddresses } from './service-addresses';
import { validatePortOrName } from './pod/probes';

const types = ['ClusterIP', 'ExternalName', 'LoadBalancer', 'NodePort'];
const affinities = ['ClientIP', 'None'];
const protocols = ['SCTP', 'TCP', 'UDP'];
const policies = ['Cluster', 'Local'];
const maxAffinitySeconds = 86_400;
const notOfExternalName = 'may not be set for ExternalName services';

/** Source: pkg/apis/core/validation.ValidateService. */
export function validateService({ spec }: Service, errors: FieldError[]): void {
  if (!spec) {
    errors.push(required('spec.ports'));
    return;
  }
  const headless = spec.clusterIPs?.[0] === 'None';
  if (!types.includes(spec.type ?? '')) errors.push(notSupported('spec.type', spec.type ?? '', types));
  if (!spec.ports?.length && !headless && spec.type !== 'ExternalName') errors.push(required('spec.ports'));
  if (headless && (spec.type === 'NodePort' || spec.type === 'LoadBalancer'))
    errors.push(invalid('spec.clusterIPs[0]', 'None', `may not be set to 'None' for ${spec.type} services`));
  if (spec.type === 'ExternalName') validateExternalName(spec, errors);
  else validateServiceAddresses(spec, errors);
  validatePorts(spec, errors);
  validateLabels(spec.selector, 'spec.selector', errors);
  if (!affinities.includes(spec.sessionAffinity ?? ''))
    errors.push(notSupported('spec.sessionAffinity', spec.sessionAffinity ?? '', affinities));
  const seconds = spec.sessionAffinityConfig?.clientIP?.timeoutSeconds;
  if (seconds !== undefined && (seconds <= 0 || seconds > maxAffinitySeconds))
    errors.push(
      invalid(
        'spec.sessionAffinityConfig.clientIP.timeoutSeconds',
        seconds,
        `must be greater than 0 and less than ${maxAffinitySeconds}`,
      ),
    );
  for (const [index, address] of (spec.externalIPs ?? []).entries())
    validateAddress(address, `spec.externalIPs[${index}]`, errors);
  for (const field of ['externalTrafficPolicy', 'internalTrafficPolicy'] as const) {
    const policy = spec[field];
    if (policy !== undefined && !policies.includes(policy))
      errors.push(notSupported(`spec.${field}`, policy, policies));
  }
}

type ServiceSpec = NonNullable<Service['spec']>;

function validateExternalName(spec: ServiceSpec, errors: FieldError[]): void {
  for (const field of ['clusterIPs', 'ipFamilies'] as const)
    if (spec[field]?.length) errors.push(forbidden(`spec.${field}`, notOfExternalName));
  if (spec.ipFamilyPolicy) errors.push(forbidden('spec.ipFamilyPolicy', notOfExternalName));
  const name = (spec.externalName ?? '').replace(/\.$/, '');
  if (name === '') {
    errors.push(required('spec.externalName'));
    return;
  }
  const problem = dnsSubdomainProblem(name);
  if (problem) errors.push(invalid('spec.externalName', name, problem));
}

function validatePorts(spec: ServiceSpec, errors: FieldError[]): void {
  const ports = spec.ports ?? [];
  const names = new Set<string>();
  const numbers = new Set<string>();
  const nodePorts = new Set<string>();
  const mayHaveNodePort = spec.type === 'NodePort' || spec.type === 'LoadBalancer';
  for (const [index, port] of ports.entries()) {
    const at = `spec.ports[${index}]`;
    if (!port.name) {
      if (ports.length > 1) errors.push(required(`${at}.name`));
    } else {
      const problem = dnsLabelProblem(port.name);
      if (problem) errors.push(invalid(`${at}.name`, port.name, problem));
      if (names.has(port.name)) errors.push(duplicate(`${at}.name`, port.name));
      names.add(port.name);
    }
    if (!isPort(port.port)) errors.push(invalid(`${at}.port`, port.port ?? 0, portRangeMessage));
    if (!port.protocol) errors.push(required(`${at}.protocol`));
    else if (!protocols.includes(port.protocol)) errors.push(notSupported(`${at}.protocol`, port.protocol, protocols));
    validatePortOrName(port.targetPort, `${at}.targetPort`, errors);
    if (port.nodePort && !mayHaveNodePort)
      errors.push(forbidden(`${at}.nodePort`, `may not be used when \`type\` is '${spec.type}'`));
    const identity = `${port.protocol}/${port.port}`;
    if (numbers.has(identity)) errors.push(duplicate(at, { protocol: port.protocol, port: port.port }));
    numbers.add(identity);
    if (!port.nodePort) continue;
    const nodeIdentity = `${port.protocol}/${port.nodePort}`;
    if (nodePorts.has(nodeIdentity)) errors.push(duplicate(`${at}.nodePort`, port.nodePort));
    nodePorts.add(nodeIdentity);
  }
}
