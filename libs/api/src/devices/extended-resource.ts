import type { DeviceClass, Pod, Stored } from '../types';
import { qualifiedNameProblem } from '../validation/names';

/** On the claim that the scheduler makes for what a pod asks for as extended resources. */
export const extendedClaimAnnotation = 'resource.kubernetes.io/extended-resource-claim';

const classPrefix = 'deviceclass.resource.kubernetes.io/';

/** `example.com/gpu`. Source: core helper IsExtendedResourceName. */
export function isExtendedResource(name: string): boolean {
  if (!name.includes('/') || name.includes('kubernetes.io/') || name.startsWith('requests.')) return false;
  return qualifiedNameProblem(`requests.${name}`) === undefined;
}

/** Also `deviceclass.resource.kubernetes.io/CLASS`: what may be had of drivers. Source: scheduler util IsDRAExtendedResourceName. */
export function isDeviceResource(name: string): boolean {
  return name.startsWith(classPrefix) || isExtendedResource(name);
}

/** The extended resources that a class provides. */
export function resourcesOfClass({ metadata, spec }: Stored<DeviceClass>): string[] {
  const { extendedResourceName } = spec ?? {};
  return [`${classPrefix}${metadata.name}`, ...(extendedResourceName ? [extendedResourceName] : [])];
}

/** What a container asks for of the resource it has of the pod's claim, not of a device plugin. */
export function isServedByClaim({ status }: Pod, container: string, resource: string): boolean {
  const { requestMappings = [] } = status?.extendedResourceClaimStatus ?? {};
  return requestMappings.some(each => each.containerName === container && each.resourceName === resource);
}
