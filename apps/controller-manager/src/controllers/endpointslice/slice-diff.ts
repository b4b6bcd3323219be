import type { Endpoint, EndpointSlice, Stored } from '@naru/api';
import { equalJson } from '../../framework/canonical';
import type { AddressType, EndpointPort, PortGroup } from './desired-endpoints';

export const maxEndpointsPerSlice = 100;

export interface SliceContents {
  addressType: AddressType;
  ports: EndpointPort[];
  endpoints: Endpoint[];
}

/** What to write so that the slices hold what they should. */
export interface SliceChanges {
  create: SliceContents[];
  update: { slice: Stored<EndpointSlice>; endpoints: Endpoint[] }[];
  delete: Stored<EndpointSlice>[];
}

function identity({ targetRef, addresses }: Endpoint): string {
  return targetRef?.uid ?? addresses.join();
}

function portsId(ports: readonly EndpointPort[] | undefined): string {
  return JSON.stringify(
    (ports ?? [])
      .map(({ name = '', protocol = 'TCP', port, appProtocol }) => [name, protocol, port, appProtocol])
      .sort(),
  );
}

/**
 * Compares the slices of one address type with what they should hold. Endpoints stay in the slice where they are; new
 * ones fill slices that are written anyway, then such with room, then new slices. An emptied slice is deleted; a group
 * without endpoints has one empty slice.
 */
export function diffSlices(
  existing: readonly Stored<EndpointSlice>[],
  desired: readonly PortGroup[],
  addressType: AddressType,
): SliceChanges {
  const changes: SliceChanges = { create: [], update: [], delete: [] };
  const byPorts = new Map<string, Stored<EndpointSlice>[]>();
  for (const slice of existing) {
    const id = portsId(slice.ports);
    byPorts.set(id, [...(byPorts.get(id) ?? []), slice]);
  }
  for (const group of desired) {
    const id = portsId(group.ports);
    diffGroup(byPorts.get(id) ?? [], group, addressType, changes);
    byPorts.delete(id);
  }
  for (const slices of byPorts.values()) changes.delete.push(...slices);
  return changes;
}

interface Draft {
  slice: Stored<EndpointSlice>;
  endpoints: Endpoint[];
  changed: boolean;
}

function diffGroup(
  slices: readonly Stored<EndpointSlice>[],
  group: PortGroup,
  addressType: AddressType,
  changes: SliceChanges,
): void {
  const missing = new Map(group.endpoints.map(endpoint => [identity(endpoint), endpoint]));
  const drafts: Draft[] = slices.map(slice => {
    const present = slice.endpoints ?? [];
    const endpoints: Endpoint[] = [];
    let changed = false;
    for (const old of present) {
      const id = identity(old);
      const wanted = missing.get(id);
      missing.delete(id);
      if (!wanted) changed = true;
      else {
        if (!equalJson(old, wanted)) changed = true;
        endpoints.push(wanted);
      }
    }
    return { slice, endpoints, changed };
  });
  const added = [...missing.values()];
  const fill = (draft: Draft): void => {
    const room = maxEndpointsPerSlice - draft.endpoints.length;
    if (room <= 0 || added.length === 0) return;
    draft.endpoints.push(...added.splice(0, room));
    draft.changed = true;
  };
  for (const draft of drafts) if (draft.changed) fill(draft);
  for (const draft of drafts) if (!draft.changed) fill(draft);
  const wantsEmpty = group.endpoints.length === 0;
  if (wantsEmpty && drafts.length === 0) changes.create.push({ addressType, ports: group.ports, endpoints: [] });
  while (added.length > 0) {
    changes.create.push({ addressType, ports: group.ports, endpoints: added.splice(0, maxEndpointsPerSlice) });
  }
  for (const [index, { slice, endpoints, changed }] of drafts.entries()) {
    const stays = endpoints.length > 0 || (wantsEmpty && index === 0);
    if (!stays) changes.delete.push(slice);
    else if (changed) changes.update.push({ slice, endpoints });
  }
}
