import { configMaps, secrets, type ConfigMap, type KubeObject, type ResourceType, type Secret } from '@naru/api';
import type { ObjectsClient } from '@naru/client';
import { BoundedMap, isReason, type Clock } from '@naru/foundation';
import type { ConfigSource } from '../containers/env';

interface Entry {
  value: Promise<unknown>;
  readAt: number;
}

const maxEntries = 1_024;

/**
 * ConfigMaps and Secrets for pods, fetched when a pod needs them: a node reads what its pods name and nothing else.
 * What was read moments ago is reused, so that thirty pods of a Deployment ask once.
 */
export class ObjectCache implements ConfigSource {
  private readonly entries = new BoundedMap<string, Entry>(maxEntries);

  constructor(private readonly deps: { client: ObjectsClient; clock: Clock; maxAgeMs?: number }) {}

  configMap(namespace: string, name: string): Promise<ConfigMap | undefined> {
    return this.read<ConfigMap>(configMaps, namespace, name);
  }

  secret(namespace: string, name: string): Promise<Secret | undefined> {
    return this.read<Secret>(secrets, namespace, name);
  }

  private read<T extends KubeObject>(type: ResourceType<T>, namespace: string, name: string): Promise<T | undefined> {
    const { client, clock, maxAgeMs = 1_000 } = this.deps;
    const key = `${type.resource}/${namespace}/${name}`;
    const known = this.entries.get(key);
    if (known && clock.now() - known.readAt < maxAgeMs) return known.value as Promise<T | undefined>;
    const value = client.get(type, { namespace, name }).catch((error: unknown) => {
      if (isReason(error, 'NotFound')) return undefined;
      this.entries.delete(key);
      throw error;
    });
    this.entries.set(key, { value, readAt: clock.now() });
    return value;
  }
}
