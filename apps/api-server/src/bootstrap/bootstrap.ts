import { randomUUID } from 'node:crypto';
import { isIPv6 } from 'node:net';
import { formatTime, type Clock, type Logger } from '@naru/foundation';
import {
  type AnyDefinition,
  type Endpoints,
  type EndpointSlice,
  type KubeObject,
  type Namespace,
  type PriorityClass,
  type Scheme,
  type Service,
  type ServiceCIDR,
} from '@naru/api';
import type { AddressClaims } from '../services/address-claims';
import type { ServiceAddresses } from '../services/service-addresses';
import { decodeBytes } from '../storage/codec';
import type { Storage } from '../storage/storage';
import { authenticationReader, authenticationReaders } from './extension-policy';
import { bootstrapFlowSchemas, bootstrapPriorityLevels } from '../flowcontrol/bootstrap-objects';
import { bootstrapClusterRoleBindings, bootstrapClusterRoles } from './policy';
import { keepsRole, keepsSubjects } from './repair';

export interface BootstrapDeps {
  storage: Storage;
  scheme: Scheme;
  clock: Clock;
  logger: Logger;
  addresses: ServiceAddresses;
  claims: AddressClaims;
  /** Where the api-server is reached: IP and port. */
  advertise: { address: string; port: number };
  /** The config map from which extension servers learn whom to trust. */
  authentication: KubeObject;
}

const systemNamespaces = ['default', 'kube-system', 'kube-public', 'kube-node-lease'];

const priorityClasses: PriorityClass[] = [
  [
    'system-cluster-critical',
    2000000000,
    'Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.',
  ] as const,
  [
    'system-node-critical',
    2000001000,
    'Used for system critical pods that must not be moved from their current node.',
  ] as const,
].map(([name, value, description]) => ({
  apiVersion: 'scheduling.k8s.io/v1',
  kind: 'PriorityClass',
  metadata: { name },
  value,
  description,
  preemptionPolicy: 'PreemptLowerPriority',
}));

/** Writes what every cluster has: namespaces, roles, priority classes and the Service `kubernetes`. */
export class Bootstrap {
  constructor(private readonly deps: BootstrapDeps) {}

  /** Idempotent: run at each start. */
  async run(): Promise<void> {
    for (const name of systemNamespaces) await this.ensure('', 'namespaces', namespace(name));
    for (const role of bootstrapClusterRoles)
      await this.ensure('rbac.authorization.k8s.io', 'clusterroles', role, keepsRole);
    for (const binding of bootstrapClusterRoleBindings)
      await this.ensure('rbac.authorization.k8s.io', 'clusterrolebindings', binding, keepsSubjects);
    for (const [resource, object] of [
      ['roles', authenticationReader],
      ['rolebindings', authenticationReaders],
    ] as const)
      await this.ensure('rbac.authorization.k8s.io', resource, object);
    await this.ensure('', 'configmaps', this.deps.authentication, (current, wanted) =>
      replaceFields(current, wanted, ['data']),
    );
    for (const priority of priorityClasses) await this.ensure('scheduling.k8s.io', 'priorityclasses', priority);
    await this.ensure('networking.k8s.io', 'servicecidrs', this.serviceCIDR(), addsFamily);
    const flowGroup = 'flowcontrol.apiserver.k8s.io';
    for (const level of bootstrapPriorityLevels) await this.ensure(flowGroup, 'prioritylevelconfigurations', level);
    for (const schema of bootstrapFlowSchemas) await this.ensure(flowGroup, 'flowschemas', schema);
    await this.kubernetesService();
    if (!this.deps.storage.shared) await this.publishServers([this.deps.advertise.address]);
    await this.deps.claims.repair();
  }

  private serviceCIDR(): ServiceCIDR {
    const lastTransitionTime = formatTime(this.deps.clock.now()) as never;
    const ready = { type: 'Ready', status: 'True', reason: '', message: 'Kubernetes default Service CIDR is ready' };
    return {
      apiVersion: 'networking.k8s.io/v1',
      kind: 'ServiceCIDR',
      metadata: { name: 'kubernetes' },
      spec: { cidrs: [...this.deps.addresses.cluster.own] },
      status: { conditions: [{ ...ready, lastTransitionTime }] },
    };
  }

  private async kubernetesService(): Promise<void> {
    const { addresses, advertise } = this.deps;
    const { apiServerAddress, families } = addresses.cluster;
    const labels = { component: 'apiserver', provider: 'kubernetes' };
    const service: Service = {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'kubernetes', namespace: 'default', labels },
      spec: {
        clusterIP: apiServerAddress,
        clusterIPs: [apiServerAddress],
        internalTrafficPolicy: 'Cluster',
        ipFamilies: families.slice(0, 1),
        ipFamilyPolicy: 'SingleStack',
        ports: [{ name: 'https', port: 443, protocol: 'TCP', targetPort: advertise.port }],
        sessionAffinity: 'None',
        type: 'ClusterIP',
      },
      status: { loadBalancer: {} },
    };
    await this.ensure('', 'services', service, (current, wanted) => {
      const { ports } = (current as Service).spec ?? {};
      const same = JSON.stringify(ports) === JSON.stringify((wanted as Service).spec?.ports);
      return same
        ? undefined
        : { ...current, spec: { ...(current as Service).spec, ports: (wanted as Service).spec?.ports } };
    });
  }

  /** Where the Service `kubernetes` leads. */
  async publishServers(servers: readonly string[]): Promise<void> {
    const { port } = this.deps.advertise;
    const endpoints: Endpoints = {
      apiVersion: 'v1',
      kind: 'Endpoints',
      metadata: {
        name: 'kubernetes',
        namespace: 'default',
        labels: { 'endpointslice.kubernetes.io/skip-mirror': 'true' },
      },
      subsets: [{ addresses: servers.map(ip => ({ ip })), ports: [{ name: 'https', port, protocol: 'TCP' }] }],
    };
    await this.ensure('', 'endpoints', endpoints, (current, wanted) => replaceFields(current, wanted, ['subsets']));
    const slice: EndpointSlice = {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { name: 'kubernetes', namespace: 'default', labels: { 'kubernetes.io/service-name': 'kubernetes' } },
      addressType: servers.some(isIPv6) ? 'IPv6' : 'IPv4',
      endpoints: servers.map(address => ({ addresses: [address], conditions: { ready: true } })),
      ports: [{ name: 'https', port, protocol: 'TCP' }],
    };
    await this.ensure('discovery.k8s.io', 'endpointslices', slice, (current, wanted) =>
      replaceFields(current, wanted, ['endpoints', 'ports', 'addressType']),
    );
  }

  /** Creates the object if it is missing; otherwise `repair` says what it should be (undefined: as it is). */
  private async ensure(
    group: string,
    resource: string,
    object: KubeObject,
    repair?: (current: KubeObject, wanted: KubeObject) => KubeObject | undefined,
  ): Promise<void> {
    const { storage, scheme, clock, logger } = this.deps;
    const definition: AnyDefinition | undefined = scheme.byResource(group, 'v1', resource);
    if (!definition) return;
    const { name = '', namespace = '' } = object.metadata ?? {};
    for (;;) {
      const entry = storage.cache(definition).get(namespace, name);
      const current = entry && decodeBytes(entry.bytes);
      const next = current
        ? repair?.(current, object)
        : {
            ...object,
            metadata: { ...object.metadata, uid: randomUUID(), creationTimestamp: formatTime(clock.now()) },
          };
      if (!next) return;
      const write = { definition, namespace, name, object: next, expected: entry?.revision ?? 0 };
      if (await storage.commit(write)) {
        logger.debug({ resource, namespace, name }, 'bootstrap object written');
        return;
      }
    }
  }
}

function namespace(name: string): Namespace {
  return {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name, labels: { 'kubernetes.io/metadata.name': name } },
    spec: { finalizers: ['kubernetes'] },
    status: { phase: 'Active' },
  };
}

/** A cluster that gets a second family extends its range; anything else is for the administrator to solve. */
function addsFamily(current: KubeObject, wanted: KubeObject): KubeObject | undefined {
  const [before = [], after = []] = [(current as ServiceCIDR).spec?.cidrs, (wanted as ServiceCIDR).spec?.cidrs];
  const isUpgrade = before.length === 1 && after.length === 2 && before[0] === after[0];
  return isUpgrade ? ({ ...current, spec: { cidrs: after } } as KubeObject) : undefined;
}

function replaceFields(current: KubeObject, wanted: KubeObject, fields: string[]): KubeObject | undefined {
  const before = current as Record<string, unknown>;
  const after = wanted as Record<string, unknown>;
  if (fields.every(field => JSON.stringify(before[field]) === JSON.stringify(after[field]))) return undefined;
  return { ...current, ...Object.fromEntries(fields.map(field => [field, after[field]])) };
}
