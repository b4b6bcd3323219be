import {
  deviceClasses,
  loadDeviceCel,
  resourceClaims,
  resourcesOfClass,
  resourceSlices,
  type DeviceClass,
  type KubeObject,
  type ResourceClaim,
  type ResourceSlice,
  type Stored,
} from '@naru/api';
import type { Informer, InformerOptions, Lister } from '@naru/client';
import { extendedFor } from './extended-resources';

type SliceSpec = NonNullable<ResourceSlice['spec']>;
export type Device = NonNullable<SliceSpec['devices']>[number];

export type AllocationResult = NonNullable<NonNullable<ResourceClaim['status']>['allocation']>;

/** A device that a driver offers, and the slice that tells of it. */
export interface OfferedDevice {
  /** driver/pool/device: unique in the cluster. */
  id: string;
  device: Device;
  slice: SliceSpec;
}

export const deviceId = (driver: string, pool: string, device: string): string => `${driver}/${pool}/${device}`;

/** What the plugin for dynamic resources sees of the cluster. */
export interface DeviceView {
  /** With the index `extendedFor`: the uid of the pod whose extended resources the claim is for. */
  claims: Lister<ResourceClaim>;
  /** With the index `resource`: the extended resources that the class provides. */
  classes: Lister<DeviceClass>;
  /** With the indexes `node` ("" for devices of several nodes) and `pool` (driver/pool). */
  slices: Lister<ResourceSlice>;
  /** Device id → the uid of the claim that has it to itself, as the api-server shows it. */
  allocated: ReadonlyMap<string, string>;
  /** Shows a claim that was just made, before its event comes. */
  observe(claim: Stored<ResourceClaim>): void;
}

/** Something of devices has changed that a pod may have waited for. */
export type DeviceEvent = 'ResourceClaimChange' | 'DeviceClassChange' | 'ResourceSliceChange';

/** The devices that nobody else may have while the claim is allocated: access for administrators takes none. */
export function devicesOf(allocation: AllocationResult | undefined): string[] {
  const results = allocation?.devices?.results ?? [];
  return results.filter(({ adminAccess }) => !adminAccess).map(r => deviceId(r.driver, r.pool, r.device));
}

export function followDevices(
  source: { informer<T extends KubeObject>(options: InformerOptions<T>): Informer<T> },
  tell: (event: DeviceEvent) => void,
): DeviceView {
  const allocated = new Map<string, string>();
  const claims = source.informer<ResourceClaim>({ type: resourceClaims, indexers: { extendedFor } });
  const forget = (claim: Stored<ResourceClaim>): void => {
    for (const id of devicesOf(claim.status?.allocation))
      if (allocated.get(id) === claim.metadata.uid) allocated.delete(id);
  };
  const note = (claim: Stored<ResourceClaim>): void => {
    for (const id of devicesOf(claim.status?.allocation)) allocated.set(id, claim.metadata.uid);
    tell('ResourceClaimChange');
  };
  claims.addHandler({
    onAdd: note,
    onUpdate(claim, old) {
      forget(old);
      note(claim);
    },
    onDelete(claim) {
      forget(claim);
      tell('ResourceClaimChange');
    },
  });
  const classes = source.informer<DeviceClass>({ type: deviceClasses, indexers: { resource: resourcesOfClass } });
  const classChange = (): void => tell('DeviceClassChange');
  classes.addHandler({ onAdd: classChange, onUpdate: classChange, onDelete: classChange });
  const slices = source.informer<ResourceSlice>({
    type: resourceSlices,
    indexers: {
      node: ({ spec }) => [spec?.nodeName ?? ''],
      pool: ({ spec }) => (spec ? [`${spec.driver}/${spec.pool.name}`] : []),
    },
  });
  const sliceChange = (): void => tell('ResourceSliceChange');
  slices.addHandler({
    onAdd: () => void loadDeviceCel().then(sliceChange),
    onUpdate: sliceChange,
    onDelete: sliceChange,
  });
  return {
    ...{ claims: claims.lister, classes: classes.lister, slices: slices.lister, allocated },
    observe: claim => claims.observe(claim),
  };
}
