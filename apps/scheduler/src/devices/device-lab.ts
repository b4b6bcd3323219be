import {
  deviceClasses,
  loadDeviceCel,
  resourceClaims,
  resourceSlices,
  type DeviceClass,
  type Node,
  type ResourceClaim,
  type ResourceSlice,
  type Stored,
} from '@naru/api';
import { MemoryObjects } from '@naru/testing';
import { createLab, makeNode } from '../fixtures';
import { followDevices, type Device } from './device-view';

/** Tests only: clusters whose nodes have devices. */
export const key = (name: string) => ({ namespace: 'default', name });

export const gpus: DeviceClass = {
  metadata: { name: 'gpu' },
  spec: { selectors: [{ cel: { expression: 'device.driver == "gpu.example.com"' } }] },
};

export const gpu = (name: string, more: Partial<Device> = {}): Device => ({ name, ...more });

export const slice = (
  nodeName: string,
  devices: Device[],
  spec: Partial<ResourceSlice['spec']> = {},
): ResourceSlice => ({
  metadata: { name: `slice-${nodeName}-${spec.pool?.generation ?? 1}` },
  spec: {
    driver: 'gpu.example.com',
    nodeName,
    pool: { name: nodeName, generation: 1, resourceSliceCount: 1 },
    devices,
    ...spec,
  },
});

/** A scheduler over the nodes, and the API with the objects, which it follows. */
export async function deviceLab(
  nodes: (string | Stored<Node>)[],
  objects: { classes?: DeviceClass[]; slices?: ResourceSlice[]; claims?: ResourceClaim[] },
) {
  await loadDeviceCel();
  const api = new MemoryObjects();
  for (const each of objects.classes ?? [gpus]) api.seed(deviceClasses, each);
  for (const each of objects.slices ?? []) api.seed(resourceSlices, each);
  for (const each of objects.claims ?? []) api.seed(resourceClaims, each);
  const told: string[] = [];
  const factory = api.informers();
  const devices = followDevices(factory, event => void told.push(event));
  const abort = new AbortController();
  await factory.start(abort.signal);
  const lab = createLab(
    nodes.map(node => (typeof node === 'string' ? makeNode(node) : node)),
    { devices, client: api },
  );
  const chosen = async (name: string) => {
    const { status } = await api.get(resourceClaims, key(name));
    return status?.allocation?.devices?.results?.map(({ request: of, device }) => `${of}=${device}`);
  };
  const changeStatus = (name: string, status: object) =>
    api.patch(resourceClaims, key(name), { type: 'merge', body: { status } }, { subresource: 'status' });
  return { api, lab, told, chosen, changeStatus, stop: () => abort.abort() };
}
