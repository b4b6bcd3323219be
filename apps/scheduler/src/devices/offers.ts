import { compileNodeSelectorTerm, type Node, type ResourceSlice } from '@naru/api';
import type { Lister } from '@naru/client';
import { deviceId, type DeviceView, type OfferedDevice } from './device-view';

/** What a node can have of the drivers' devices. */
export interface Offers {
  devices: readonly OfferedDevice[];
  /** A pool, driver/name, that the node has a part in and whose slices are not all there: it is being changed. */
  incomplete: string | undefined;
  /** All slices of the newest generation of the pools above: where shared counters are told. */
  slices: readonly NonNullable<ResourceSlice['spec']>[];
}

type Place = Pick<NonNullable<ResourceSlice['spec']>, 'nodeName' | 'nodeSelector' | 'allNodes'>;

function reaches({ nodeName, nodeSelector, allNodes }: Place, node: Node): boolean {
  if (nodeName) return nodeName === node.metadata?.name;
  if (nodeSelector) return nodeSelector.nodeSelectorTerms.some(term => compileNodeSelectorTerm(term)(node));
  return allNodes === true;
}

/** The slices of a pool that count: those of its newest generation. */
function currentSlices(slices: Lister<ResourceSlice>, pool: string): NonNullable<ResourceSlice['spec']>[] {
  const all = slices.byIndex('pool', pool).flatMap(({ spec }) => spec ?? []);
  const newest = all.reduce((generation, { pool: { generation: each } }) => Math.max(generation, each), 0);
  return all.filter(({ pool: { generation } }) => generation === newest);
}

/** Source: dynamic-resource-allocation/structured/internal/*, GatherPools. */
export function offersFor(node: Node, { slices }: Pick<DeviceView, 'slices'>): Offers {
  const near = [...slices.byIndex('node', node.metadata?.name ?? ''), ...slices.byIndex('node', '')];
  const pools = new Set(near.map(({ spec }) => `${spec?.driver ?? ''}/${spec?.pool.name ?? ''}`));
  const devices: OfferedDevice[] = [];
  const counted: NonNullable<ResourceSlice['spec']>[] = [];
  let incomplete: string | undefined;
  for (const pool of pools) {
    const current = currentSlices(slices, pool);
    const offered = current.flatMap(slice =>
      (slice.devices ?? [])
        .filter(device => reaches(slice.perDeviceNodeSelection ? device : slice, node))
        .map(device => ({ id: deviceId(slice.driver, slice.pool.name, device.name), device, slice })),
    );
    const isWhole = current.length === current[0]?.pool.resourceSliceCount;
    if (isWhole) {
      devices.push(...offered);
      counted.push(...current);
    } else if (offered.length > 0) incomplete ??= pool;
  }
  return { devices, incomplete, slices: counted };
}

/** Where an allocation of the devices can be used: undefined where any node will do. */
export function placeOf(devices: readonly OfferedDevice[], nodeName: string) {
  const expressions = [];
  for (const { slice, device } of devices) {
    const place = slice.perDeviceNodeSelection ? device : slice;
    if (place.nodeName) {
      const own = { key: 'metadata.name', operator: 'In', values: [nodeName] };
      return { nodeSelectorTerms: [{ matchFields: [own] }] };
    }
    expressions.push(...(place.nodeSelector?.nodeSelectorTerms[0]?.matchExpressions ?? []));
  }
  return expressions.length > 0 ? { nodeSelectorTerms: [{ matchExpressions: expressions }] } : undefined;
}
