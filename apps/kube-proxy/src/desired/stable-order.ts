import { endpointKey, type Endpoint } from './service-port';

/**
 * Orders `wanted` so that as many as possible keep their place in `previous`: newcomers take the places of those that
 * left, and the last ones fill what is still empty. Rules name endpoints by place, so one change touches one or two of
 * them, however many there are.
 */
export function stableOrder(previous: readonly Endpoint[], wanted: readonly Endpoint[]): Endpoint[] {
  const arriving = new Map(wanted.map(endpoint => [endpointKey(endpoint), endpoint]));
  const places: (Endpoint | undefined)[] = previous.map(endpoint => {
    const key = endpointKey(endpoint);
    const kept = arriving.get(key);
    arriving.delete(key);
    return kept;
  });
  const newcomers = [...arriving.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, endpoint]) => endpoint);
  const result: Endpoint[] = [];
  for (let place = 0; place < places.length; place++) {
    let endpoint = places[place] ?? newcomers.shift();
    while (!endpoint && places.length > place + 1) endpoint = places.pop();
    if (endpoint) result.push(endpoint);
  }
  return [...result, ...newcomers];
}
