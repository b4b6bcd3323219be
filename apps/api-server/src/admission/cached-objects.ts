import type { KubeObject, ResourceType } from '@naru/api';
import { decodeBytes } from '../storage/codec';
import type { Entry } from '../storage/entry';
import type { WatchCache } from '../storage/watch-cache';
import type { AdmissionDeps } from './plugin';

const decoded = new WeakMap<Entry, KubeObject>();

/** A stored object that is shared with other requests: not to be changed. */
export function sharedObject<T extends KubeObject>(entry: Entry): T {
  let object = decoded.get(entry);
  if (!object) decoded.set(entry, (object = decodeBytes(entry.bytes)));
  return object as T;
}

export function cacheOf({ storage, scheme }: AdmissionDeps, { group, version, resource }: ResourceType): WatchCache {
  return storage.cache(scheme.byResource(group, version, resource)!);
}

/** The stored objects of a kind in a namespace ("" for all), shared. */
export function objectsOf<T extends KubeObject>(deps: AdmissionDeps, type: ResourceType<T>, namespace: string): T[] {
  const cache = cacheOf(deps, type);
  return cache.size === 0 ? [] : cache.select({ namespace }).map(entry => sharedObject<T>(entry));
}

export function objectOf<T extends KubeObject>(
  deps: AdmissionDeps,
  type: ResourceType<T>,
  namespace: string,
  name: string,
): T | undefined {
  const entry = cacheOf(deps, type).get(namespace, name);
  return entry && sharedObject<T>(entry);
}
