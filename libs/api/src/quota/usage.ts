import { isDeviceResource } from '../devices/extended-resource';
import { withResourcesInUse } from '../pod-resources-in-use';
import { persistentVolumeClaims, pods, resourceClaims, services, type ResourceType } from '../resource';
import { storageClassOf } from '../storage/claim';
import type { KubeObject, PersistentVolumeClaim, Pod, PodSpec, ResourceClaim, ResourceQuota, Service } from '../types';
import { addDevices, isAboutDevices } from './device-usage';
import { count, one, parseQuantities, podQuantities, zero, type Quantities } from './quantities';
import { podInScope, scopesOf } from './scopes';

type Named = Pick<ResourceType, 'group' | 'resource'>;

/** Counted under their own name too, as before there was `count/`. */
const countedPlainly = new Set(['configmaps', 'secrets', 'resourcequotas', 'replicationcontrollers']);
const computeResources = ['cpu', 'memory', 'ephemeral-storage'];
const classSuffix = '.storageclass.storage.k8s.io/';
/** A quota on one of these wants every container to say how much it takes. */
const demanded = new Set(['cpu', 'memory', 'requests.cpu', 'requests.memory', 'limits.cpu', 'limits.memory']);

function isDeviceClaim({ group, resource }: Named): boolean {
  return group === resourceClaims.group && resource === resourceClaims.resource;
}

function isCore({ group, resource }: Named, wanted: Named): boolean {
  return group === '' && resource === wanted.resource;
}

/** `count/pods`, `count/deployments.apps` */
export function countName({ group, resource }: Named): string {
  return group === '' ? `count/${resource}` : `count/${resource}.${group}`;
}

/**
 * What an object takes of a quota. `nowMs`: a pod whose deletion was due before takes nothing but its place. Source:
 * pkg/quota/v1/evaluator/core.
 */
export function quotaUsage(type: Named, object: KubeObject, nowMs: number): Quantities {
  const usage: Quantities = new Map([[countName(type), one]]);
  if (isCore(type, pods)) return addPod(usage, object as Pod, nowMs);
  if (isCore(type, services)) return addService(usage, object as Service);
  if (isCore(type, persistentVolumeClaims)) return addClaim(usage, object as PersistentVolumeClaim);
  if (isDeviceClaim(type)) return addDevices(usage, object as ResourceClaim);
  if (type.group === '' && countedPlainly.has(type.resource)) usage.set(type.resource, one);
  return usage;
}

function addPod(usage: Quantities, pod: Pod, nowMs: number): Quantities {
  if (hasEnded(pod, nowMs)) return usage;
  usage.set('pods', one);
  const counted = withResourcesInUse(pod);
  addCompute(usage, podQuantities(counted, 'requests'), podQuantities(counted, 'limits'));
  return usage;
}

function hasEnded({ metadata, status }: Pod, nowMs: number): boolean {
  if (status?.phase === 'Failed' || status?.phase === 'Succeeded') return true;
  const { deletionTimestamp, deletionGracePeriodSeconds } = metadata ?? {};
  if (!deletionTimestamp || deletionGracePeriodSeconds === undefined || deletionGracePeriodSeconds === null)
    return false;
  return nowMs > Date.parse(deletionTimestamp) + deletionGracePeriodSeconds * 1000;
}

function addCompute(usage: Quantities, requests: Quantities, limits: Quantities): void {
  for (const [name, amount] of requests) {
    if (computeResources.includes(name) || name.startsWith('hugepages-')) usage.set(name, amount);
    if (computeResources.includes(name) || name.startsWith('hugepages-') || isDeviceResource(name))
      usage.set(`requests.${name}`, amount);
  }
  for (const name of computeResources) {
    const limit = limits.get(name);
    if (limit) usage.set(`limits.${name}`, limit);
  }
}

function addService(usage: Quantities, { spec }: Service): Quantities {
  const ports = spec?.ports ?? [];
  const isBalanced = spec?.type === 'LoadBalancer';
  const allocates = spec?.type === 'NodePort' || (isBalanced && spec.allocateLoadBalancerNodePorts !== false);
  const nodePorts = allocates ? ports.length : isBalanced ? ports.filter(port => port.nodePort).length : 0;
  usage.set('services', one);
  usage.set('services.nodeports', count(nodePorts));
  usage.set('services.loadbalancers', isBalanced ? one : zero);
  return usage;
}

function addClaim(usage: Quantities, claim: PersistentVolumeClaim): Quantities {
  const className = storageClassOf(claim) ?? '';
  const amounts: Quantities = new Map([['persistentvolumeclaims', one]]);
  const storage = parseQuantities(claim.spec?.resources?.requests).get('storage');
  if (storage) amounts.set('requests.storage', storage);
  for (const [name, amount] of amounts) {
    usage.set(name, amount);
    if (className !== '') usage.set(`${className}${classSuffix}${name}`, amount);
  }
  return usage;
}

/** The names in `hard` that objects of a resource count towards. */
export function coveredNames(type: Named, hard: Iterable<string>): string[] {
  const own = countName(type);
  const covers = (name: string): boolean => {
    if (name === own) return true;
    if (isDeviceClaim(type)) return isAboutDevices(name);
    if (type.group !== '') return false;
    switch (type.resource) {
      case pods.resource: {
        const bare = name.replace(/^(requests|limits)\./, '');
        if (computeResources.includes(bare) || bare.startsWith('hugepages-')) return true;
        return name === 'pods' || (name.startsWith('requests.') && isDeviceResource(bare));
      }
      case services.resource:
        return name === 'services' || name.startsWith('services.');
      case persistentVolumeClaims.resource:
        return name === 'persistentvolumeclaims' || name === 'requests.storage' || name.includes(classSuffix);
      default:
        return countedPlainly.has(type.resource) && name === type.resource;
    }
  };
  return [...hard].filter(covers);
}

/** Whether an object counts towards a quota at all; scopes are about pods. */
export function quotaMatches(quota: ResourceQuota, type: Named, object: KubeObject, hard: Iterable<string>): boolean {
  if (coveredNames(type, hard).length === 0) return false;
  const scopes = scopesOf(quota);
  return scopes.length === 0 || (isCore(type, pods) && scopes.every(scope => podInScope(object as Pod, scope)));
}

type Container = PodSpec['containers'][number];

/** "must specify cpu for: a,b; memory for: a" where a pod's containers leave out what the quota limits. */
export function missingAmounts({ spec }: Pod, names: readonly string[]): string | undefined {
  const missing = new Map<string, string[]>();
  const wanted = names.filter(name => demanded.has(name)).sort();
  const check = ({ name, resources }: Container): void => {
    const usage: Quantities = new Map();
    addCompute(usage, parseQuantities(resources?.requests), parseQuantities(resources?.limits));
    for (const resource of wanted)
      if (!usage.has(resource)) missing.set(resource, [...(missing.get(resource) ?? []), name ?? '']);
  };
  if (spec?.resources?.requests || spec?.resources?.limits) return undefined;
  for (const container of [...(spec?.containers ?? []), ...(spec?.initContainers ?? [])]) check(container);
  if (missing.size === 0) return undefined;
  const parts = wanted.flatMap(resource => {
    const containers = missing.get(resource);
    return containers ? [`${resource} for: ${containers.sort().join(',')}`] : [];
  });
  return `must specify ${parts.join('; ')}`;
}
