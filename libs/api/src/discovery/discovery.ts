import { createHash } from 'node:crypto';
import type { AnyDefinition } from '../scheme/definition';
import type { Scheme } from '../scheme/scheme';
import { subresourcesOf } from './subresources';

interface ApiResource {
  name: string;
  singularName: string;
  namespaced: boolean;
  group?: string;
  version?: string;
  kind: string;
  verbs: readonly string[];
  shortNames?: readonly string[];
  categories?: readonly string[];
  storageVersionHash?: string;
}

interface Group {
  name: string;
  versions: { groupVersion: string; version: string }[];
  preferredVersion: { groupVersion: string; version: string };
}

/** GET /api. `serverAddress` is "host:port". */
export function apiVersions(_scheme: Scheme, serverAddress: string): unknown {
  return {
    kind: 'APIVersions',
    versions: ['v1'],
    serverAddressByClientCIDRs: [{ clientCIDR: '0.0.0.0/0', serverAddress }],
  };
}

/** A version that another server serves. */
interface Remote {
  group: string;
  version: string;
}

function groupsWith(scheme: Scheme, remotes: readonly Remote[]): Map<string, string[]> {
  const groups = new Map([...scheme.groups()].map(([name, versions]) => [name, [...versions]]));
  for (const { group: name, version } of remotes) {
    const versions = groups.get(name);
    if (!versions) groups.set(name, [version]);
    else if (!versions.includes(version)) versions.push(version);
  }
  return groups;
}

/** GET /apis. */
export function apiGroupList(scheme: Scheme, remotes: readonly Remote[] = []): unknown {
  const groups = [...groupsWith(scheme, remotes)].map(([name, versions]) => group(name, versions));
  return { kind: 'APIGroupList', apiVersion: 'v1', groups };
}

/** GET /apis/GROUP; undefined for an unknown group. */
export function apiGroup(scheme: Scheme, name: string, remotes: readonly Remote[] = []): unknown {
  const versions = groupsWith(scheme, remotes).get(name);
  return versions ? { kind: 'APIGroup', apiVersion: 'v1', ...group(name, versions) } : undefined;
}

function group(name: string, versions: readonly string[]): Group {
  const all = versions.map(version => ({ groupVersion: `${name}/${version}`, version }));
  return { name, versions: all, preferredVersion: all[0] as Group['preferredVersion'] };
}

/** GET /api/v1 (group "") and /apis/GROUP/VERSION; undefined for an unknown one. */
export function apiResourceList(scheme: Scheme, groupName: string, version: string): unknown {
  const stored = scheme.inGroupVersion(groupName, version);
  if (stored.length === 0) return undefined;
  const resources = stored.flatMap(definition => [resourceOf(definition), ...subresourceRows(definition)]);
  resources.sort((a, b) => (a.name < b.name ? -1 : 1));
  return {
    kind: 'APIResourceList',
    ...(groupName === '' ? {} : { apiVersion: 'v1' }),
    groupVersion: groupName === '' ? version : `${groupName}/${version}`,
    resources,
  };
}

function resourceOf(definition: AnyDefinition): ApiResource {
  const { type, singular, verbs, shortNames, categories } = definition;
  return {
    name: type.resource,
    singularName: singular,
    namespaced: type.namespaced,
    kind: type.kind,
    verbs,
    ...(shortNames.length > 0 ? { shortNames } : {}),
    ...(categories.length > 0 ? { categories } : {}),
    ...(isStored(definition) ? { storageVersionHash: storageVersionHash(definition) } : {}),
  };
}

/** Bindings and reviews are asked, not stored. */
function isStored({ verbs }: AnyDefinition): boolean {
  return verbs.includes('watch');
}

/** Upstream's: the start of a SHA-256 over where the kind is stored. */
function storageVersionHash({ type, storedAs }: AnyDefinition): string {
  const stored = storedAs?.type ?? type;
  const digest = createHash('sha256').update(`${stored.group}/${stored.version}/${stored.kind}`).digest();
  return digest.subarray(0, 8).toString('base64');
}

function subresourceRows(definition: AnyDefinition): ApiResource[] {
  const { type } = definition;
  return subresourcesOf(definition).map(({ name, group: bodyGroup, version, kind, verbs }) => ({
    name: `${type.resource}/${name}`,
    singularName: '',
    namespaced: type.namespaced,
    ...(bodyGroup === type.group && version === type.version ? {} : { group: bodyGroup, version }),
    kind,
    verbs,
  }));
}

/** GET /api or /apis with Accept `application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList`. */
export function aggregatedDiscovery(scheme: Scheme, door: 'api' | 'apis'): unknown {
  const groups = door === 'api' ? [['', ['v1']] as const] : [...scheme.groups()];
  return {
    kind: 'APIGroupDiscoveryList',
    apiVersion: 'apidiscovery.k8s.io/v2',
    metadata: {},
    items: groups.map(([name, versions]) => ({
      metadata: name === '' ? {} : { name },
      versions: versions.map(version => ({
        version,
        resources: discoveredResources(scheme, name, version),
        freshness: 'Current',
      })),
    })),
  };
}

function discoveredResources(scheme: Scheme, groupName: string, version: string): unknown[] {
  const stored = scheme.inGroupVersion(groupName, version).map(definition => {
    const { type, singular, verbs, shortNames, categories } = definition;
    const subresources = subresourcesOf(definition).map(s => ({
      subresource: s.name,
      responseKind: { group: s.group, version: s.version, kind: s.kind },
      verbs: s.verbs,
    }));
    return {
      ...discovered(type, singular, verbs),
      ...(shortNames.length > 0 ? { shortNames } : {}),
      ...(categories.length > 0 ? { categories } : {}),
      ...(subresources.length > 0 ? { subresources } : {}),
    };
  });
  return stored.sort((a, b) => (a.resource < b.resource ? -1 : 1));
}

function discovered(
  { group: groupName, version, kind, resource, namespaced }: AnyDefinition['type'],
  singularResource: string,
  verbs: readonly string[],
): { resource: string } {
  return {
    resource,
    responseKind: { group: groupName, version, kind },
    scope: namespaced ? 'Namespaced' : 'Cluster',
    singularResource,
    verbs,
  } as { resource: string };
}
