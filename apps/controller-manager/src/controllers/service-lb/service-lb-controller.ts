import { services, type Service, type Stored } from '@naru/api';
import { AddressRanges, familyOf, isReason, type IpFamily } from '@naru/foundation';
import { watch, type Controller, type ControllerDeps } from '../../framework/controller';
import { withKind } from '../../framework/owner';
import { AddressPool } from './address-pool';

const exhaustedRetryMs = 10_000;

/** Whose load balancer is ours: those that ask for no other class. */
function isOurs({ metadata, spec }: Stored<Service>): boolean {
  return spec?.type === 'LoadBalancer' && spec.loadBalancerClass === undefined && !metadata.deletionTimestamp;
}

function addressesOf({ status }: Stored<Service>): string[] {
  return (status?.loadBalancer?.ingress ?? []).flatMap(({ ip }) => (ip === undefined ? [] : [ip]));
}

function familiesOf({ spec }: Stored<Service>): IpFamily[] {
  return (spec?.ipFamilies ?? ['IPv4']).map(family => (family === 'IPv6' ? 6 : 4));
}

function build(deps: ControllerDeps) {
  const { client, informers, recorder, config, logger } = deps;
  const pool = new AddressPool(AddressRanges.parse(config.loadBalancerAddresses));
  const lister = informers.lister(services);
  let surveyed = false;
  /** What Services have already is taken before anything is given: they are the record. */
  const survey = (): void => {
    if (surveyed) return;
    surveyed = true;
    for (const service of lister.list()) {
      if (!isOurs(service)) continue;
      for (const address of addressesOf(service)) pool.occupy(address, keyOf(service));
    }
  };
  /** An address of each family that Service and pool have: those that it holds, where nothing speaks against them. */
  const choose = (service: Stored<Service>, key: string): (string | undefined)[] => {
    const held = addressesOf(service);
    const wish = service.spec?.loadBalancerIP || undefined;
    const all = familiesOf(service);
    const families = all.filter(family => pool.has(family));
    pool.release(key);
    return (families.length > 0 ? families : all).map(family => {
      const wished = wish !== undefined && familyOf(wish) === family ? wish : undefined;
      const kept = held.find(address => familyOf(address) === family && (wished ?? address) === address);
      return kept !== undefined && pool.occupy(kept, key) ? kept : pool.allocate(key, family, wished);
    });
  };
  const setStatus = async (service: Stored<Service>, loadBalancer: object): Promise<void> => {
    const { namespace, name, uid, resourceVersion } = service.metadata;
    const body = { metadata: { uid, resourceVersion }, status: { loadBalancer } };
    await client.patch(services, { namespace, name }, { type: 'merge', body }, { subresource: 'status' });
  };
  return {
    async reconcile(key: string) {
      survey();
      const [namespace, name = ''] = key.split('/');
      const service = lister.get({ namespace, name });
      if (!service) return pool.release(key);
      const held = addressesOf(service);
      if (!isOurs(service)) {
        // Only what we gave is ours to take; another class's controller writes here too.
        const given = held.some(address => pool.holder(address) === key);
        if (given && service.spec?.type !== 'LoadBalancer') await setStatus(service, { ingress: null });
        return pool.release(key);
      }
      const chosen = choose(service, key);
      const addresses = chosen.filter(address => address !== undefined);
      if (addresses.length < chosen.length) {
        pool.release(key);
        const wished = service.spec?.loadBalancerIP;
        const message = wished
          ? `Error syncing load balancer: the address ${wished} is not free in the pool ${config.loadBalancerAddresses}`
          : `Error syncing load balancer: no address is left in the pool ${config.loadBalancerAddresses}`;
        recorder.record(withKind(services, service), { type: 'Warning', reason: 'SyncLoadBalancerFailed', message });
        return { requeueAfterMs: exhaustedRetryMs };
      }
      if (held.join() === addresses.join()) return undefined;
      try {
        await setStatus(service, { ingress: addresses.map(ip => ({ ip, ipMode: 'VIP' })) });
      } catch (error) {
        pool.release(key);
        if (isReason(error, 'NotFound')) return undefined;
        throw error;
      }
      logger.info({ namespace, service: name, addresses }, 'load balancer addresses given');
      const message = 'Ensured load balancer';
      recorder.record(withKind(services, service), { type: 'Normal', reason: 'EnsuredLoadBalancer', message });
      return undefined;
    },
  };
}

function keyOf({ metadata }: Stored<Service>): string {
  return `${metadata.namespace ?? ''}/${metadata.name}`;
}

/**
 * Gives Services of type LoadBalancer an address of a pool, where there is no cloud to ask. The nodes' kube-proxies announce it. Without
 * a pool it does nothing. One worker: an address is given once.
 */
export const serviceLbController: Controller = {
  name: 'service-lb-controller',
  concurrency: 1,
  watches: () => [watch(services, service => [keyOf(service)])],
  build: deps =>
    deps.config.loadBalancerAddresses === '' ? { reconcile: () => Promise.resolve(undefined) } : build(deps),
};
