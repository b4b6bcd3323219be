import { endpoints, endpointSlices } from '../resource';
import { firstFew, text } from '../table/columns';
import type { Endpoints, EndpointSlice } from '../types';
import { invalid, notSupported, required, tooMany, type FieldError } from '../validation/field-error';
import { validateAddress } from '../validation/addresses';
import { dnsLabelProblem, isPort, portRangeMessage } from '../validation/names';
import { defineKind } from './define-kind';

const maxShown = 3;
const protocols = ['TCP', 'UDP', 'SCTP'];

function hostPorts(o: Endpoints): string {
  const all: string[] = [];
  for (const { addresses = [], ports = [] } of o.subsets ?? []) {
    if (ports.length === 0) all.push(...addresses.map(a => a.ip));
    for (const port of ports)
      all.push(...addresses.map(a => (a.ip.includes(':') ? `[${a.ip}]:${port.port}` : `${a.ip}:${port.port}`)));
  }
  return firstFew(all, maxShown, ',', '<none>');
}

export const endpointsKind = defineKind(endpoints, {
  singular: 'endpoints',
  deprecationWarning: 'v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice',
  shortNames: ['ep'],
  applyDefaults: o => {
    for (const subset of o.subsets ?? []) for (const port of subset.ports ?? []) port.protocol ||= 'TCP';
  },
  validate: (o, errors) => {
    for (const [index, subset] of (o.subsets ?? []).entries()) {
      const at = `subsets[${index}]`;
      if (!subset.addresses?.length && !subset.notReadyAddresses?.length)
        errors.push(required(at, 'must specify `addresses` or `notReadyAddresses`'));
      for (const list of ['addresses', 'notReadyAddresses'] as const)
        for (const [i, { ip }] of (subset[list] ?? []).entries()) validateAddress(ip, `${at}.${list}[${i}].ip`, errors);
      for (const [i, port] of (subset.ports ?? []).entries()) {
        if (!isPort(port.port)) errors.push(invalid(`${at}.ports[${i}].port`, port.port, portRangeMessage));
        if (!port.name && (subset.ports?.length ?? 0) > 1) errors.push(required(`${at}.ports[${i}].name`));
      }
    }
  },
  columns: [text('Endpoints', 'Addresses and ports.', hostPorts)],
});

const maxEndpoints = 1000;
const maxPorts = 20_000;
const maxAddresses = 100;

function validateSlice(o: EndpointSlice, errors: FieldError[]): void {
  const types = ['FQDN', 'IPv4', 'IPv6'];
  if (!o.addressType) errors.push(required('addressType'));
  else if (!types.includes(o.addressType)) errors.push(notSupported('addressType', o.addressType, types));
  const list = o.endpoints ?? [];
  if (list.length > maxEndpoints) errors.push(tooMany('endpoints', list.length, maxEndpoints));
  else
    for (const [index, endpoint] of list.entries()) {
      const at = `endpoints[${index}].addresses`;
      if (!endpoint.addresses?.length) errors.push(required(at, 'must contain at least 1 address'));
      else if (endpoint.addresses.length > maxAddresses)
        errors.push(tooMany(at, endpoint.addresses.length, maxAddresses));
      if (o.addressType !== 'FQDN')
        for (const [i, address] of (endpoint.addresses ?? []).entries())
          validateAddress(address, `${at}[${i}]`, errors, o.addressType === 'IPv6' ? 6 : 4);
    }
  const ports = o.ports ?? [];
  if (ports.length > maxPorts) errors.push(tooMany('ports', ports.length, maxPorts));
  const names = new Set<string>();
  for (const [index, port] of ports.entries()) {
    const at = `ports[${index}]`;
    const name = port.name ?? '';
    const problem = name ? dnsLabelProblem(name) : undefined;
    if (problem) errors.push(invalid(`${at}.name`, name, problem));
    if (names.has(name)) errors.push({ type: 'FieldValueDuplicate', field: `${at}.name`, badValue: name, detail: '' });
    names.add(name);
    if (port.protocol && !protocols.includes(port.protocol))
      errors.push(notSupported(`${at}.protocol`, port.protocol, protocols));
    if (port.port !== undefined && !isPort(port.port)) errors.push(invalid(`${at}.port`, port.port, portRangeMessage));
  }
}

export const endpointSliceKind = defineKind(endpointSlices, {
  hasGeneration: true,
  applyDefaults: o => {
    for (const port of o.ports ?? []) {
      port.name ??= '';
      port.protocol ??= 'TCP';
    }
  },
  validate: validateSlice,
  validateUpdate: (next, old, errors) => {
    if (next.addressType !== old.addressType)
      errors.push(invalid('addressType', next.addressType, 'field is immutable'));
  },
  columns: [
    text('AddressType', 'The type of the addresses.', o => o.addressType ?? ''),
    text('Ports', 'The ports of all endpoints.', o =>
      firstFew(
        (o.ports ?? []).map(p => (p.port === undefined ? '*' : String(p.port))),
        maxShown,
        ',',
        '<unset>',
      ),
    ),
    text('Endpoints', 'The addresses.', o =>
      firstFew(
        (o.endpoints ?? []).flatMap(e => e.addresses),
        maxShown,
        ',',
        '<unset>',
      ),
    ),
  ],
});
