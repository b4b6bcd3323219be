import {
  extendedClaimAnnotation,
  isDeviceResource,
  type DeviceClass,
  type ResourceClaim,
  type Stored,
} from '@naru/api';
import type { Lister } from '@naru/client';
import type { NodeInfo } from '../cache/node-info';
import type { PodInfo } from '../cache/pod-info';
import type { DeviceView } from './device-view';
import { extendedRequests, type RequestMapping } from './extended-requests';

/** No name that an object may have: the claim is not made yet. */
const temporaryName = '<extended-resources>';

/** The claim by which a pod would get its extended resources on a node. */
export interface ExtendedClaim {
  claim: Stored<ResourceClaim>;
  mappings: RequestMapping[];
}

/** The class that provides an extended resource: of several the newest, and of those the first by name. */
export function classOfResource(resource: string, classes: Lister<DeviceClass>): Stored<DeviceClass> | undefined {
  const age = ({ metadata }: Stored<DeviceClass>): string => metadata.creationTimestamp ?? '';
  const isBefore = (a: Stored<DeviceClass>, b: Stored<DeviceClass>): boolean =>
    age(a) === age(b) ? a.metadata.name < b.metadata.name : age(a) > age(b);
  return classes
    .byIndex('resource', resource)
    .reduce<Stored<DeviceClass> | undefined>((best, each) => (best && !isBefore(each, best) ? best : each), undefined);
}

/** The node's device plugins do not count the resource, and drivers may provide it. */
export function isByClaim(resource: string, { allocatable }: NodeInfo, classes: Lister<DeviceClass>): boolean {
  return !allocatable.scalars?.get(resource) && classOfResource(resource, classes) !== undefined;
}

/** The claim that an earlier attempt to place the pod has left behind. */
export function leftoverClaim({ uid, pod }: PodInfo, { claims }: DeviceView): Stored<ResourceClaim> | undefined {
  // In other namespaces others may make claims that name the pod.
  return claims.byIndex('extendedFor', uid).find(({ metadata }) => metadata.namespace === pod.metadata.namespace);
}

/** What a pod asks for as extended resources, and drivers of some node may provide. */
export class ExtendedResources {
  /** By what the node's plugins do not count. */
  private readonly variants = new Map<string, ExtendedClaim>();

  private constructor(
    private readonly pod: PodInfo,
    private readonly classes: ReadonlyMap<string, string>,
  ) {}

  /** Undefined: there are none, as in most pods. */
  static of(pod: PodInfo, classes: Lister<DeviceClass>): ExtendedResources | undefined {
    const found = new Map<string, string>();
    for (const [resource, amount] of pod.requests.scalars ?? []) {
      const provider = amount > 0 && isDeviceResource(resource) ? classOfResource(resource, classes) : undefined;
      if (provider) found.set(resource, provider.metadata.name);
    }
    return found.size > 0 ? new ExtendedResources(pod, found) : undefined;
  }

  /** What the pod would need there; undefined where device plugins count all of it. */
  on({ allocatable }: NodeInfo): ExtendedClaim | undefined {
    const wanted = [...this.classes].filter(([resource]) => !allocatable.scalars?.get(resource));
    if (wanted.length === 0) return undefined;
    const id = wanted.map(([resource]) => resource).join();
    let variant = this.variants.get(id);
    if (!variant) this.variants.set(id, (variant = this.claimFor(new Map(wanted))));
    return variant;
  }

  private claimFor(classes: ReadonlyMap<string, string>): ExtendedClaim {
    const { namespace, name, uid } = this.pod.pod.metadata;
    const { requests, mappings } = extendedRequests(this.pod.pod, classes);
    const metadata = {
      ...(namespace === undefined ? {} : { namespace }),
      ...{ name: temporaryName, generateName: `${name}-extended-resources-` },
      ...{ uid: `extended-resources-of-${uid}`, resourceVersion: '', creationTimestamp: '' },
      annotations: { [extendedClaimAnnotation]: 'true' },
      ownerReferences: [{ apiVersion: 'v1', kind: 'Pod', name, uid, controller: true }],
    };
    return { claim: { metadata, spec: { devices: { requests } } }, mappings };
  }
}

/** The uid of the pod that a claim of the scheduler's was made for. */
export function extendedFor({ metadata }: Stored<ResourceClaim>): string[] {
  if (metadata.annotations?.[extendedClaimAnnotation] !== 'true') return [];
  return (metadata.ownerReferences ?? []).filter(({ controller }) => controller).map(({ uid }) => uid);
}
