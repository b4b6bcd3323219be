import type { KubeObject, ResourceType, Stored } from '@naru/api';
import type { ObjectsClient } from './objects-client';

/** A client whose writer hears at once what its writes were answered, for informers to `observe`. */
export function readYourWrites(
  client: ObjectsClient,
  observe: <T extends KubeObject>(type: ResourceType<T>, written: Stored<T>) => void,
): ObjectsClient {
  const seen = async <T extends KubeObject>(
    type: ResourceType<T>,
    options: { dryRun?: boolean } | undefined,
    write: Promise<Stored<T>>,
  ): Promise<Stored<T>> => {
    const written = await write;
    if (!options?.dryRun) observe(type, written);
    return written;
  };
  return {
    get: (type, key, signal) => client.get(type, key, signal),
    list: (type, options, signal) => client.list(type, options, signal),
    create: (type, object, options) => seen(type, options, client.create(type, object, options)),
    createSubresource: (type, key, subresource, body) => client.createSubresource(type, key, subresource, body),
    update: (type, object, options) => seen(type, options, client.update(type, object, options)),
    patch: (type, key, patch, options) => seen(type, options, client.patch(type, key, patch, options)),
    delete: (type, key, options) => client.delete(type, key, options),
    deleteCollection: (type, selection, options) => client.deleteCollection(type, selection, options),
    close: () => client.close(),
  };
}
