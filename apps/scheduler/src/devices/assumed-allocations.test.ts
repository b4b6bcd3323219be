import type { ResourceClaim, Stored } from '@naru/api';
import { AssumedAllocations } from './assumed-allocations';
import type { AllocationResult } from './device-view';

const allocation: AllocationResult = {
  devices: { results: [{ request: 'main', driver: 'd', pool: 'p', device: 'gpu-0' }] },
};
const claim = (resourceVersion: string, status: ResourceClaim['status'] = {}): Stored<ResourceClaim> => ({
  metadata: { namespace: 'default', name: 'mine', uid: 'uid-mine', resourceVersion, creationTimestamp: '' },
  spec: {},
  status,
});
const id = 'd/p/gpu-0';

describe('devices that were given to a pod on its way', () => {
  let shown: Stored<ResourceClaim> | undefined;
  const open = (): AssumedAllocations => {
    shown = claim('5');
    const lister = { get: () => shown, list: () => [], byIndex: () => [], size: 1 };
    const assumed = new AssumedAllocations({ claims: lister, allocated: new Map() });
    assumed.add('pod', shown, allocation);
    return assumed;
  };

  it('are free again when the pod goes elsewhere before anything was written', () => {
    const assumed = open();
    expect(assumed.taken()(id)).toBe(true);
    assumed.remove('pod');
    expect(assumed.taken()(id)).toBe(false);
  });

  it('stay taken when the pod goes elsewhere after they were written, until our copy of the claim is as new', () => {
    const assumed = open();
    assumed.written(claim('12', { allocation }));
    assumed.remove('pod');
    shown = claim('9');
    expect(assumed.taken()(id)).toBe(true);
    expect(assumed.latest(shown).status?.allocation).toBe(allocation);
    // Somebody has given them back since.
    shown = claim('13');
    expect(assumed.taken()(id)).toBe(false);
    expect(assumed.latest(shown).status?.allocation).toBeUndefined();
  });

  it('are free when their claim is gone', () => {
    const assumed = open();
    assumed.written(claim('12', { allocation }));
    shown = undefined;
    expect(assumed.taken()(id)).toBe(false);
  });
});
