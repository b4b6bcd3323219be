import { pods, priorityClasses, type Pod, type PriorityClass } from '@naru/api';
import { forbidden } from '../objects/failures';
import { decodeBytes } from '../storage/codec';
import { isResource } from './is-resource';
import type { AdmissionPlugin } from './plugin';

/** Resolves priorityClassName into a number, once, when the pod is created. */
export const priority: AdmissionPlugin = {
  name: 'Priority',
  handles: request => request.operation === 'create' && isResource(request, pods),
  admit(request, { storage, scheme }) {
    const { spec } = request.object as Pod;
    if (!spec) return;
    const cache = storage.cache(scheme.byResource('scheduling.k8s.io', 'v1', priorityClasses.resource)!);
    let found: PriorityClass | undefined;
    if (spec.priorityClassName) {
      const entry = cache.get('', spec.priorityClassName);
      if (!entry) throw forbidden(pods, request.name, `no PriorityClass with name ${spec.priorityClassName} was found`);
      found = decodeBytes<PriorityClass>(entry.bytes);
    } else if (cache.size > 0) {
      const defaults = cache.select({ namespace: '' }).map(({ bytes }) => decodeBytes<PriorityClass>(bytes));
      // Of several defaults the lowest counts.
      found = defaults.filter(({ globalDefault }) => globalDefault).sort((a, b) => (a.value ?? 0) - (b.value ?? 0))[0];
      if (found?.metadata?.name) spec.priorityClassName = found.metadata.name;
    }
    const value = found?.value ?? 0;
    if (spec.priority !== undefined && spec.priority !== null && spec.priority !== value)
      throw forbidden(
        pods,
        request.name,
        'the integer value of priority (' +
          `${spec.priority}) must not be provided in pod spec; priority admission controller computed ${value} from the given PriorityClass name`,
      );
    spec.priority = value;
    spec.preemptionPolicy ??= found?.preemptionPolicy ?? 'PreemptLowerPriority';
  },
};
