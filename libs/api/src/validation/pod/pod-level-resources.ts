import { isPodLevelResource } from '../../pod-resources';
import { parseNano } from '../../quantity';
import { containerQuantities } from '../../quota/quantities';
import type { PodSpec } from '../../types';
import { forbidden, invalid, notSupported, type FieldError } from '../field-error';
import { validateResources, type ResourceNameRule } from './resources';

const supported = ['cpu', 'hugepages-', 'memory'];

const podResourceName: ResourceNameRule = (name, path, errors) => {
  if (!isPodLevelResource(name)) errors.push(notSupported(path, name, supported));
};

/**
 * What a pod asks for as a whole: at least what its containers request together, and no container may be allowed more.
 * Source: pkg/apis/core/validation validatePodResources.
 */
export function validatePodLevelResources(spec: PodSpec, path: string, errors: FieldError[]): void {
  const { resources } = spec;
  if (!resources) return;
  const at = `${path}.resources`;
  if (resources.claims) errors.push(forbidden(`${at}.claims`, 'claims cannot be set for Resources at pod-level'));
  if (spec.os?.name === 'windows') errors.push(forbidden(at, 'may not be set for a windows pod'));
  validateResources(resources, at, errors, podResourceName);
  for (const [name, together] of containerQuantities({ spec }, 'requests')) {
    const request = resources.requests?.[name];
    if (request !== undefined && together.nano > parseNano(request))
      errors.push(
        invalid(
          `${at}.requests[${name}]`,
          request,
          `must be greater than or equal to aggregate container requests of ${together.toString()}`,
        ),
      );
  }
  for (const list of ['containers', 'initContainers'] as const)
    for (const [index, container] of (spec[list] ?? []).entries())
      for (const [name, limit] of Object.entries(container.resources?.limits ?? {})) {
        const ofPod = resources.limits?.[name];
        if (ofPod !== undefined && parseNano(limit) > parseNano(ofPod))
          errors.push(
            invalid(
              `${path}.${list}[${index}].resources.limits[${name}]`,
              limit,
              `must be less than or equal to pod limits of ${ofPod}`,
            ),
          );
      }
}
