import { isIP } from 'node:net';
import type { JsonName, SubjectAlternativeNameExtension } from '@peculiar/x509';
import { loadX509 } from './x509';

/** Who a certificate speaks for: Kubernetes reads CN as the user's name and every O as a group. */
export interface Subject {
  commonName: string;
  organizations?: string[];
}

/** The names and addresses under which a server is reached. */
export interface AlternativeNames {
  dnsNames?: string[];
  ipAddresses?: string[];
}

/** The subject in X.501 order, groups first, all groups in one set as Go writes it. */
export function toJsonName({ commonName, organizations = [] }: Subject): JsonName {
  return [...(organizations.length > 0 ? [{ O: organizations }] : []), { CN: [commonName] }];
}

export function fromJsonName(name: JsonName): Subject {
  const values = (field: string): string[] => name.flatMap(part => part[field] ?? []);
  return { commonName: values('CN')[0] ?? '', organizations: values('O') };
}

/** The extension for these names, or undefined when there are none. Throws on an address that is none. */
export async function toExtension(names: AlternativeNames): Promise<SubjectAlternativeNameExtension | undefined> {
  const { dnsNames = [], ipAddresses = [] } = names;
  if (dnsNames.length + ipAddresses.length === 0) return undefined;
  for (const address of ipAddresses)
    if (isIP(address) === 0) throw new Error(`Cannot put ${address} into a certificate: it is no IP address`);
  const { SubjectAlternativeNameExtension } = await loadX509();
  return new SubjectAlternativeNameExtension([
    ...dnsNames.map(value => ({ type: 'dns' as const, value })),
    ...ipAddresses.map(value => ({ type: 'ip' as const, value })),
  ]);
}
