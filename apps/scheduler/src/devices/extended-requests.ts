import { quantityValue, type Container, type Pod, type ResourceClaim } from '@naru/api';

export type DeviceRequest = NonNullable<
  NonNullable<NonNullable<ResourceClaim['spec']>['devices']>['requests']
>[number] & { exactly: { count: number } };

export type RequestMapping = NonNullable<
  NonNullable<Pod['status']>['extendedResourceClaimStatus']
>['requestMappings'][number];

export interface ExtendedRequests {
  requests: DeviceRequest[];
  /** Which requests serve which containers. */
  mappings: RequestMapping[];
}

interface Place {
  container: Container;
  /** Among the init containers and the containers after them. */
  index: number;
  /** An init container that ends before the next one starts. */
  isPassing: boolean;
}

const countOf = ({ resources }: Container, resource: string): number =>
  quantityValue(resources?.requests?.[resource] ?? '0');

function requestFor(
  { container, index }: Place,
  resource: string,
  deviceClassName: string,
  count: number,
): DeviceRequest {
  const position = Object.keys(container.resources?.requests ?? {})
    .sort()
    .indexOf(resource);
  return {
    name: `container-${index}-request-${position}`,
    exactly: { deviceClassName, allocationMode: 'ExactCount', count },
  };
}

/**
 * One resource: a request for each container that stays, and one for what init containers need beyond what is for those
 * after them: they run one by one, so that the largest will do for all.
 */
function requestsOf(places: readonly Place[], resource: string, deviceClassName: string): ExtendedRequests {
  const map = ({ container }: Place, { name }: DeviceRequest): RequestMapping => ({
    containerName: container.name,
    resourceName: resource,
    requestName: name,
  });
  const wanting = places.filter(({ container }) => countOf(container, resource) > 0);
  const lasting = wanting
    .filter(({ isPassing }) => !isPassing)
    .map(place => ({
      place,
      request: requestFor(place, resource, deviceClassName, countOf(place.container, resource)),
    }));
  const passing = wanting
    .filter(({ isPassing }) => isPassing)
    .map(place => {
      let missing = countOf(place.container, resource);
      const shared: DeviceRequest[] = [];
      for (const { request } of lasting.filter(each => each.place.index > place.index)) {
        if (missing <= 0) break;
        shared.push(request);
        missing -= request.exactly.count;
      }
      return { place, shared, missing };
    });
  const largest = passing.reduce((most, { missing }) => Math.max(most, missing), 0);
  const needy = passing.find(({ missing }) => missing === largest);
  const extra = largest > 0 && needy ? requestFor(needy.place, resource, deviceClassName, largest) : undefined;
  return {
    requests: [...(extra ? [extra] : []), ...lasting.map(({ request }) => request)],
    mappings: [
      ...lasting.map(({ place, request }) => map(place, request)),
      ...passing.flatMap(({ place, shared, missing }) =>
        [...shared, ...(extra && missing > 0 ? [extra] : [])].map(request => map(place, request)),
      ),
    ],
  };
}

/**
 * What a claim must ask for so that the containers of a pod get their extended resources. `classes`: resource → the class
 * that provides it. Source: plugins/dynamicresources createRequestsAndMappings.
 */
export function extendedRequests({ spec }: Pod, classes: ReadonlyMap<string, string>): ExtendedRequests {
  const init = spec?.initContainers ?? [];
  const places = [...init, ...(spec?.containers ?? [])].map((container, index) => ({
    container,
    index,
    isPassing: index < init.length && container.restartPolicy !== 'Always',
  }));
  const all = [...classes.keys()].sort().map(resource => requestsOf(places, resource, classes.get(resource) ?? ''));
  return {
    requests: all.flatMap(({ requests }) => requests).sort((a, b) => (a.name < b.name ? -1 : 1)),
    mappings: all.flatMap(({ mappings }) => mappings),
  };
}
