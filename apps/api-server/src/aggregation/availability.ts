import type { APIService, EndpointSlice, Service } from '@naru/api';
import { decodeBytes } from '../storage/codec';
import type { WatchCache } from '../storage/watch-cache';

export type Condition = Omit<
  NonNullable<NonNullable<APIService['status']>['conditions']>[number],
  'lastTransitionTime'
>;
type ServiceReference = NonNullable<NonNullable<APIService['spec']>['service']>;

const serviceLabel = 'kubernetes.io/service-name';

export const available: Condition = {
  type: 'Available',
  status: 'True',
  reason: 'Passed',
  message: 'all checks passed',
};

export function unavailable(reason: string, message: string): Condition {
  return { type: 'Available', status: 'False', reason, message };
}

/**
 * What stands against asking an APIService's server, as far as objects tell; undefined: nothing.
 * Source: kube-aggregator pkg/controllers/status/remote.
 */
export function obstacle(
  { namespace = '', name = '', port = 443 }: ServiceReference,
  caches: { services: WatchCache; endpointSlices: WatchCache },
): Condition | undefined {
  const where = `service/${name} in ${JSON.stringify(namespace)}`;
  const entry = caches.services.get(namespace, name);
  if (!entry) return unavailable('ServiceNotFound', `${where} is not present`);
  const { spec } = decodeBytes<Service>(entry.bytes);
  if ((spec?.type ?? 'ClusterIP') !== 'ClusterIP') return undefined;
  const servicePort = spec?.ports?.find(candidate => candidate.port === port);
  if (!servicePort) return unavailable('ServicePortError', `${where} is not listening on port ${port}`);
  const slices = caches.endpointSlices
    .select({ namespace })
    .filter(({ labels }) => labels?.[serviceLabel] === name)
    .map(({ bytes }) => decodeBytes<EndpointSlice>(bytes));
  if (slices.length === 0) return unavailable('EndpointsNotFound', `cannot find endpointslices for ${where}`);
  const portName = servicePort.name ?? '';
  const isServed = slices.some(
    ({ endpoints, ports }) =>
      endpoints?.some(({ conditions }) => conditions?.ready !== false) &&
      ports?.some(candidate => (candidate.name ?? '') === portName && candidate.port),
  );
  if (isServed) return undefined;
  const text = `endpointslices for ${where} have no addresses with port name ${JSON.stringify(portName)}`;
  return unavailable('MissingEndpoints', text);
}
