import type { EndpointSlice } from '@naru/api';
import { addressOf, type IpFamily } from './ip-family';
import { endpointKey, type Endpoint } from './service-port';

/** An endpoint as a slice tells of it, before traffic policies choose. */
export interface Candidate extends Endpoint {
  readonly ready: boolean;
  readonly serving: boolean;
  readonly terminating: boolean;
  readonly nodeHints: readonly string[];
  readonly zoneHints: readonly string[];
  readonly nodeName: string | undefined;
}

/**
 * The endpoints behind one port (name and protocol) of a Service, over all its slices of a family, by `address:port`. During an
 * update two slices may tell of the same endpoint: the readier version counts.
 */
export function collectCandidates(
  slices: Iterable<EndpointSlice>,
  portName: string,
  protocol: string,
  { nodeName: ownNode, family }: { nodeName: string; family: IpFamily },
): Map<string, Candidate> {
  const found = new Map<string, Candidate>();
  for (const slice of slices) {
    if (slice.addressType !== family) continue;
    const slicePort = slice.ports?.find(
      port => (port.name ?? '') === portName && (port.protocol ?? 'TCP') === protocol && port.port !== undefined,
    );
    if (slicePort?.port === undefined) continue;
    for (const { addresses, conditions, nodeName, hints } of slice.endpoints ?? []) {
      // All addresses of an endpoint are equal; upstream uses the first.
      const address = addressOf(addresses[0], family);
      if (address === undefined) continue;
      const ready = conditions?.ready ?? true;
      const candidate: Candidate = {
        address,
        port: slicePort.port,
        local: nodeName === ownNode,
        ready,
        serving: conditions?.serving ?? ready,
        terminating: conditions?.terminating ?? false,
        nodeHints: hints?.forNodes?.map(hint => hint.name) ?? [],
        zoneHints: hints?.forZones?.map(hint => hint.name) ?? [],
        nodeName,
      };
      const key = endpointKey(candidate);
      const other = found.get(key);
      if (!other || rank(candidate) > rank(other)) found.set(key, candidate);
    }
  }
  return found;
}

function rank(candidate: Candidate): number {
  return candidate.ready ? 2 : candidate.serving ? 1 : 0;
}

/** How many addresses of `node` are ready, on any port. */
export function countReady(slices: Iterable<EndpointSlice>, node: string): number {
  const ready = new Set<string | undefined>();
  for (const { endpoints = [] } of slices) {
    for (const { addresses, conditions, nodeName } of endpoints) {
      if (nodeName === node && conditions?.ready !== false) ready.add(addresses[0]);
    }
  }
  return ready.size;
}

/** The nodes with an endpoint that is ready. */
export function readyNodes(slices: Iterable<EndpointSlice>): Set<string> {
  const names = new Set<string>();
  for (const { endpoints = [] } of slices) {
    for (const { nodeName, conditions } of endpoints) {
      if (nodeName !== undefined && conditions?.ready !== false) names.add(nodeName);
    }
  }
  return names;
}
