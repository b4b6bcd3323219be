import { parseNano } from './quantity';
import type { Pod, PodSpec } from './types';

type Resources = NonNullable<PodSpec['containers'][number]['resources']>;
type Amounts = NonNullable<Resources['requests']>;
/** What the kubelet says of a container, or of a pod as a whole. */
interface Reported {
  resources?: Pick<Resources, 'requests' | 'limits'> | undefined;
  allocatedResources?: Amounts | undefined;
}

/**
 * The pod with the resources that count for its node and its quotas while a resize is on its way: of each container, and of
 * the pod as a whole, the most of what it asks for, what it was given and what it runs with; without what it asks for when
 * its node can never give that. The very same pod when that is what it asks for. Source: component-helpers
 * resource.PodRequests and PodLimits with UseStatusResources.
 */
export function withResourcesInUse<T extends Pod>(pod: T): T {
  const { spec, status } = pod;
  if (!spec || !status?.containerStatuses) return pod;
  const { containerStatuses, initContainerStatuses = [], conditions = [] } = status;
  const pending = conditions.find(({ type }) => type === 'PodResizePending');
  const isInfeasible = pending?.reason === 'Infeasible';
  const reported = new Map<string, Reported>([...containerStatuses, ...initContainerStatuses].map(s => [s.name, s]));
  let changed = false;
  const settle = <R extends { resources?: Resources | undefined }>(asked: R, actual: Reported | undefined): R => {
    const resources = inUse(asked.resources, actual, isInfeasible);
    if (!resources || resources === asked.resources) return asked;
    changed = true;
    return { ...asked, resources };
  };
  const containers = spec.containers.map(each => settle(each, reported.get(each.name)));
  const initContainers = spec.initContainers?.map(each => settle(each, reported.get(each.name)));
  const whole = spec.resources ? settle(spec, status) : spec;
  if (!changed) return pod;
  return { ...pod, spec: { ...whole, containers, ...(initContainers ? { initContainers } : {}) } };
}

function inUse(
  asked: Resources | undefined,
  actual: Reported | undefined,
  isInfeasible: boolean,
): Resources | undefined {
  if (!actual?.resources) return asked;
  const wanted = isInfeasible ? undefined : asked;
  const requests = most(wanted?.requests, actual.resources.requests, actual.allocatedResources);
  const limits = most(wanted?.limits, actual.resources.limits);
  if (requests === asked?.requests && limits === asked?.limits) return asked;
  return { ...asked, ...(requests ? { requests } : {}), ...(limits ? { limits } : {}) };
}

/** The greatest amount of each resource; the first list itself when that has them all. */
function most(first: Amounts | undefined, ...others: (Amounts | undefined)[]): Amounts | undefined {
  let greatest = first;
  for (const other of others)
    for (const [name, amount] of Object.entries(other ?? {})) {
      const known = greatest?.[name];
      if (known === amount || (known !== undefined && parseNano(known) >= parseNano(amount))) continue;
      greatest = { ...greatest, [name]: amount };
    }
  return greatest;
}
