import {
  deepEqual,
  parseQuantities,
  pods,
  runtimeClasses,
  type Pod,
  type RuntimeClass,
  type Toleration,
} from '@naru/api';
import { objectOf } from './cached-objects';
import { isResource } from './is-resource';
import type { AdmissionDeps, AdmissionPlugin, AdmissionRequest } from './plugin';
import { refuse } from './refuse';

const mismatch = "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead";

/** A pod takes over what its RuntimeClass says of overhead and of the nodes that have the runtime. */
export const runtimeClass: AdmissionPlugin = {
  name: 'RuntimeClass',
  handles: request => request.operation === 'create' && isResource(request, pods),
  admit(request, deps) {
    const { spec } = request.object as Pod;
    const found = classOf(request, deps);
    if (!spec || !found) return;
    if (found.overhead) {
      spec.overhead ??= { ...found.overhead.podFixed };
      if (!sameAmounts(spec.overhead, found.overhead.podFixed)) throw refuse(request, mismatch);
    }
    if (found.scheduling) mergeScheduling(request, spec, found.scheduling);
  },
  validate(request, deps) {
    const { overhead } = (request.object as Pod).spec ?? {};
    const wanted = classOf(request, deps)?.overhead;
    if (!wanted && overhead)
      throw refuse(request, 'pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead');
    if (wanted && !sameAmounts(overhead, wanted.podFixed)) throw refuse(request, mismatch);
  },
};

function classOf(request: AdmissionRequest, deps: AdmissionDeps): RuntimeClass | undefined {
  const name = (request.object as Pod).spec?.runtimeClassName;
  if (!name) return undefined;
  const found = objectOf(deps, runtimeClasses, '', name);
  if (!found) throw refuse(request, `pod rejected: RuntimeClass ${JSON.stringify(name)} not found`);
  return found;
}

type Amounts = Record<string, string> | undefined;

function sameAmounts(a: Amounts, b: Amounts): boolean {
  const [left, right] = [parseQuantities(a), parseQuantities(b)];
  return left.size === right.size && [...left].every(([name, { nano }]) => right.get(name)?.nano === nano);
}

function mergeScheduling(
  request: AdmissionRequest,
  spec: NonNullable<Pod['spec']>,
  { nodeSelector = {}, tolerations = [] }: NonNullable<RuntimeClass['scheduling']>,
): void {
  const own = spec.nodeSelector ?? {};
  for (const [key, value] of Object.entries(nodeSelector))
    if (own[key] !== undefined && own[key] !== value)
      throw refuse(
        request,
        `conflict: runtimeClass.scheduling.nodeSelector[${key}] = ${value}; pod.spec.nodeSelector[${key}] = ${own[key]}`,
      );
  if (Object.keys(nodeSelector).length > 0) spec.nodeSelector = { ...own, ...nodeSelector };
  const known: Toleration[] = spec.tolerations ?? [];
  const added = tolerations.filter(toleration => !known.some(each => deepEqual(each, toleration)));
  if (added.length > 0) spec.tolerations = [...known, ...added];
}
