import { apiServices, endpointSlices, services, type APIService, type EndpointSlice, type Service } from '@naru/api';
import type { ObjectsClient } from '@naru/client';
import { isReason, runPeriodically, type Clock, type Logger } from '@naru/foundation';
import { apiGroup, apiVersion } from './metrics-api';

export interface RegistrationDeps {
  client: ObjectsClient;
  clock: Clock;
  logger: Logger;
  /** Where the api-server reaches this process. */
  address: string;
  port: number;
  /** PEM of the authority of the serving certificate. */
  ca: string;
}

const namespace = 'kube-system';
const name = 'metrics-server';
const sliceName = `${name}-naru`;
const labels = { 'k8s-app': name };
const managedBy = 'metrics-server.naru.dev';
const periodMs = 10_000;

/** The host name that the aggregation layer expects of the serving certificate. */
export const serviceHost = `${name}.${namespace}.svc`;

/**
 * Makes this process known: a Service, its endpoint, and the APIService that sends metrics.k8s.io there. Looks again and
 * again, and sets right what others have changed, but for a Service that selects pods: then somebody runs a server of
 * their own.
 */
export class Registration {
  constructor(private readonly deps: RegistrationDeps) {}

  /** Until the signal; never rejects. */
  run(signal: AbortSignal): Promise<void> {
    const { clock, logger } = this.deps;
    const work = (): Promise<void> => this.reconcile();
    return runPeriodically({ clock, logger, work, periodMs, failure: 'not registered yet' }, signal);
  }

  async reconcile(): Promise<void> {
    const service = await this.ensureService();
    if (Object.keys(service.spec?.selector ?? {}).length > 0) return;
    await this.ensureSlice(service.metadata?.uid ?? '');
    await this.ensureApiService();
  }

  /** Takes the endpoint away, so that nobody waits for a process that is gone. */
  async leave(): Promise<void> {
    await this.deps.client.delete(endpointSlices, { namespace, name: sliceName }).catch((error: unknown) => {
      if (!isReason(error, 'NotFound')) throw error;
    });
  }

  private async ensureService(): Promise<Service> {
    const { client } = this.deps;
    try {
      return await client.get(services, { namespace, name });
    } catch (error) {
      if (!isReason(error, 'NotFound')) throw error;
    }
    return client.create(services, {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name, namespace, labels: { ...labels, 'kubernetes.io/cluster-service': 'true' } },
      spec: { ports: [{ name: 'https', port: 443, protocol: 'TCP', targetPort: 'https' }] },
    });
  }

  private async ensureSlice(serviceUid: string): Promise<void> {
    const { client, address, port } = this.deps;
    const slice: EndpointSlice = {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: {
        name: sliceName,
        namespace,
        labels: {
          ...labels,
          'kubernetes.io/service-name': name,
          'endpointslice.kubernetes.io/managed-by': managedBy,
        },
        ownerReferences: [{ apiVersion: 'v1', kind: 'Service', name, uid: serviceUid }],
      },
      addressType: address.includes(':') ? 'IPv6' : 'IPv4',
      endpoints: [{ addresses: [address], conditions: { ready: true } }],
      ports: [{ name: 'https', port, protocol: 'TCP' }],
    };
    try {
      const found = await client.get(endpointSlices, { namespace, name: sliceName });
      const sameEndpoint =
        found.addressType === slice.addressType &&
        found.endpoints?.[0]?.addresses[0] === address &&
        found.ports?.[0]?.port === port;
      if (sameEndpoint) return;
      await client.delete(endpointSlices, { namespace, name: sliceName });
    } catch (error) {
      if (!isReason(error, 'NotFound')) throw error;
    }
    await client.create(endpointSlices, slice);
  }

  private async ensureApiService(): Promise<void> {
    const { client, ca } = this.deps;
    const wanted: APIService = {
      apiVersion: 'apiregistration.k8s.io/v1',
      kind: 'APIService',
      metadata: { name: `${apiVersion}.${apiGroup}`, labels },
      spec: {
        group: apiGroup,
        version: apiVersion,
        groupPriorityMinimum: 100,
        versionPriority: 100,
        service: { name, namespace, port: 443 },
        caBundle: Buffer.from(ca).toString('base64'),
      },
    };
    const key = { name: `${apiVersion}.${apiGroup}` };
    try {
      const { spec } = await client.get(apiServices, key);
      const { service, caBundle } = spec ?? {};
      if (service?.name === name && service.namespace === namespace && caBundle === wanted.spec?.caBundle) return;
      await client.patch(apiServices, key, { type: 'merge', body: { spec: wanted.spec } });
    } catch (error) {
      if (!isReason(error, 'NotFound')) throw error;
      await client.create(apiServices, wanted);
    }
  }
}
