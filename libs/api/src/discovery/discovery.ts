import type { Scheme } from '../scheme/scheme';

/** GET /api. `serverAddress` is "host:port". */
export function apiVersions(_scheme: Scheme, serverAddress: string): unknown {
  return {
    kind: 'APIVersions',
    versions: ['v1'],
    serverAddressByClientCIDRs: [{ clientCIDR: '0.0.0.0/0', serverAddress }],
  };
}

/** GET /apis. */
export function apiGroupList(_scheme: Scheme): unknown {
  throw new Error('not there yet');
}

/** GET /apis/GROUP; undefined for an unknown group. */
export function apiGroup(_scheme: Scheme, _group: string): unknown {
  throw new Error('not there yet');
}

/** GET /api/v1 (group "") and /apis/GROUP/VERSION; undefined for an unknown one. */
export function apiResourceList(_scheme: Scheme, _group: string, _version: string): unknown {
  throw new Error('not there yet');
}

/** GET /api (core true) or /apis with Accept `application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList`. */
export function aggregatedDiscovery(_scheme: Scheme, _door: 'api' | 'apis'): unknown {
  throw new Error('not there yet');
}
