import { endpoints, pods, services } from '@naru/api';
import { objectKey, parseKey } from '@naru/client';
import { isReason } from '@naru/foundation';
import { equalJson } from '../../framework/canonical';
import { watch, type Controller, type ControllerDeps } from '../../framework/controller';
import { hasSelector } from '../endpointslice/endpointslice-controller';
import { changesEndpoints, selectPods, serviceKeysOf } from '../endpointslice/service-pods';
import { endpointSubsets } from './subsets';

async function reconcile(key: string, { informers, client }: ControllerDeps): Promise<void> {
  const { namespace, name } = parseKey(key);
  const service = informers.lister(services).get({ namespace, name });
  const current = informers.lister(endpoints).get({ namespace, name });
  if (!service) {
    // Only ours: the Endpoints of the api-server itself, and what people wrote, stay.
    if (current?.metadata.labels?.[managedByLabel] !== managedBy) return;
    await client.delete(endpoints, { namespace, name }).catch((error: unknown) => {
      if (!isReason(error, 'NotFound')) throw error;
    });
    return;
  }
  if (!hasSelector(service) || service.spec?.type === 'ExternalName') return;
  const subsets = endpointSubsets(service, selectPods(informers, service));
  const labels = {
    ...service.metadata.labels,
    [managedByLabel]: managedBy,
    ...(service.spec?.clusterIP === 'None' ? { 'service.kubernetes.io/headless': '' } : {}),
  };
  if (current && equalJson(current.subsets ?? [], subsets) && equalJson(current.metadata.labels ?? {}, labels)) return;
  if (current) {
    await client.update(endpoints, { ...current, metadata: { ...current.metadata, labels }, subsets });
    return;
  }
  try {
    await client.create(endpoints, {
      apiVersion: 'v1',
      kind: 'Endpoints',
      metadata: { namespace, name, labels },
      subsets,
    });
  } catch (error) {
    // Ours, only not in the local copy yet: its event brings the key back.
    if (!isReason(error, 'AlreadyExists')) throw error;
  }
}

const managedByLabel = 'endpoints.kubernetes.io/managed-by';
const managedBy = 'endpoint-controller';

/** The legacy Endpoints objects of Services with selectors. */
export const endpointsController: Controller = {
  name: 'endpoints-controller',
  eventSource: 'endpoint-controller',
  watches: ({ informers }) => [
    watch(services, service => [objectKey(service)]),
    watch(pods, serviceKeysOf(informers), { relevant: changesEndpoints }),
    watch(endpoints, object => [objectKey(object)]),
  ],
  build: deps => ({ reconcile: key => reconcile(key, deps) }),
};
