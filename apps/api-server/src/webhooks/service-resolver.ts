import type https from 'node:https';
import type { EndpointSlice, Service } from '@naru/api';
import { decodeBytes } from '../storage/codec';
import type { WatchCache } from '../storage/watch-cache';
import type { ResolveService } from './webhook-client';

const serviceLabel = 'kubernetes.io/service-name';

interface Caches {
  services: WatchCache;
  endpointSlices: WatchCache;
}

/** Finds a ready endpoint of a Service: this process need not be where the rules for cluster addresses are. */
export function serviceResolver(caches: Caches, agent?: https.Agent): ResolveService {
  const find = findEndpoint(caches);
  return (namespace, name, port) => {
    const place = find(namespace, name, port);
    return place && { ...place, ...(agent ? { agent } : {}) };
  };
}

function findEndpoint(caches: Caches): ResolveService {
  return (namespace, name, port) => {
    const entry = caches.services.get(namespace, name);
    if (!entry) return undefined;
    const { spec } = decodeBytes<Service>(entry.bytes);
    const servicePort = spec?.ports?.find(candidate => candidate.port === port);
    if (!servicePort) return undefined;
    const places: { host: string; port: number }[] = [];
    for (const slice of caches.endpointSlices.select({ namespace })) {
      if (slice.labels?.[serviceLabel] !== name) continue;
      const { endpoints, ports } = decodeBytes<EndpointSlice>(slice.bytes);
      const target = ports?.find(candidate => (candidate.name ?? '') === (servicePort.name ?? ''))?.port;
      if (target === undefined) continue;
      for (const { addresses, conditions } of endpoints ?? [])
        if (conditions?.ready !== false && addresses[0]) places.push({ host: addresses[0], port: target });
    }
    if (places.length > 0) return places[Math.floor(Math.random() * places.length)];
    // A Service without a selector may lead elsewhere.
    if (spec?.externalName) return { host: spec.externalName, port };
    return spec?.clusterIP && spec.clusterIP !== 'None' && !spec.selector ? { host: spec.clusterIP, port } : undefined;
  };
}
