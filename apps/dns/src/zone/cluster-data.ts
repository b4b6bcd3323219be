import {
  endpointSlices,
  namespaces,
  pods,
  services,
  type EndpointSlice,
  type Namespace,
  type Pod,
  type Service,
  type Stored,
} from '@naru/api';
import type { Informer, InformerFactory, Lister } from '@naru/client';
import { addressKey } from '../wire/address';

export const serviceNameLabel = 'kubernetes.io/service-name';

/** What the zone reads. `version` changes with every change of it. */
export interface ClusterData {
  readonly services: Lister<Service>;
  readonly slices: Lister<EndpointSlice>;
  readonly namespaces: Lister<Namespace>;
  /** Only there when pod records are verified. */
  readonly pods: Lister<Pod> | undefined;
  readonly version: number;
  /** Whether the first lists are there: before, nothing can be said about what is missing. */
  readonly synced: boolean;
}

type Meta = Stored<Service>['metadata'];

function bare({ name, namespace, uid, resourceVersion }: Meta): Meta {
  return { name, ...(namespace ? { namespace } : {}), uid, resourceVersion };
}

/** Keeps of each object what names are made of: large clusters have many endpoints. */
function slimService({ metadata, spec = {} }: Stored<Service>): Stored<Service> {
  const { type, clusterIP, clusterIPs, externalName, publishNotReadyAddresses, selector } = spec;
  const ports = (spec.ports ?? []).map(({ name, port, protocol }) => ({ ...(name ? { name } : {}), port, protocol }));
  const kept = { type, clusterIP, clusterIPs, externalName, publishNotReadyAddresses, selector, ports };
  return { metadata: bare(metadata), spec: defined(kept) as NonNullable<Service['spec']> };
}

function slimSlice({ metadata, addressType, endpoints, ports }: Stored<EndpointSlice>): Stored<EndpointSlice> {
  return {
    metadata: { ...bare(metadata), ...(metadata.labels ? { labels: metadata.labels } : {}) },
    addressType,
    endpoints: (endpoints ?? []).map(({ addresses, hostname, conditions }) => ({
      addresses,
      ...(hostname ? { hostname } : {}),
      ...(conditions?.ready === false ? { conditions: { ready: false } } : {}),
    })),
    ...(ports ? { ports: ports.map(port => defined({ ...port }) as typeof port) } : {}),
  };
}

function slimPod({ metadata, status }: Stored<Pod>): Stored<Pod> {
  const { podIPs, phase } = status ?? {};
  return { metadata: bare(metadata), status: defined({ podIPs, phase }) as NonNullable<Pod['status']> };
}

function defined(record: Record<string, unknown>): unknown {
  return Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined));
}

function keys(addresses: (string | undefined)[]): string[] {
  return addresses.map(address => (address ? addressKey(address) : undefined)).filter(key => key !== undefined);
}

export function clusterIps({ spec }: Service): string[] {
  const all = spec?.clusterIPs ?? (spec?.clusterIP ? [spec.clusterIP] : []);
  return all.filter(address => address !== '' && address !== 'None');
}

/** Whether pods' own addresses stand behind the name: no cluster IP was wanted. */
export function isHeadless({ spec }: Service): boolean {
  return spec?.clusterIP === 'None' || spec?.clusterIPs?.[0] === 'None';
}

/** The informers behind the zone; started by the factory they come from. */
export function followCluster(factory: InformerFactory, options: { withPods: boolean }): ClusterData {
  const followed: { readonly hasSynced: boolean }[] = [];
  const data = {
    get synced() {
      return followed.every(({ hasSynced }) => hasSynced);
    },
    services: follow(
      factory.informer<Service>({
        type: services,
        transform: slimService,
        indexers: { address: service => keys(clusterIps(service)) },
      }),
    ),
    slices: follow(
      factory.informer<EndpointSlice>({
        type: endpointSlices,
        transform: slimSlice,
        indexers: {
          service: ({ metadata }) => [`${metadata.namespace}/${metadata.labels?.[serviceNameLabel] ?? ''}`],
          address: ({ endpoints }) => keys((endpoints ?? []).flatMap(({ addresses }) => addresses)),
        },
      }),
    ),
    namespaces: follow(
      factory.informer<Namespace>({ type: namespaces, transform: ({ metadata }) => ({ metadata: bare(metadata) }) }),
    ),
    pods: options.withPods
      ? follow(
          factory.informer<Pod>({
            type: pods,
            transform: slimPod,
            indexers: { address: ({ status }) => keys((status?.podIPs ?? []).map(({ ip }) => ip)) },
          }),
        )
      : undefined,
    version: 1,
  };

  function follow<T extends Service | EndpointSlice | Namespace | Pod>(informer: Informer<T>): Lister<T> {
    const change = (): void => void data.version++;
    followed.push(informer);
    informer.addHandler({ onAdd: change, onUpdate: change, onDelete: change });
    return informer.lister;
  }
  return data;
}
