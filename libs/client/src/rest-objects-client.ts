import type { KubeObject, ObjectList, ResourceType, Stored } from '@naru/api';
import { StatusError, isReason, type Status } from '@naru/foundation';
import {
  patchTypes,
  type DeleteOptions,
  type ListOptions,
  type ObjectKey,
  type ObjectsClient,
  type Patch,
  type WriteOptions,
} from './objects-client';
import { unreachable, type RestConnection } from './rest-connection';
import type { WatchEvent, WatchOptions, Watcher } from './watcher';

const callTimeoutMs = 30_000;
const listTimeoutMs = 60_000;
/** Upstream's clients list in pages of this size. */
const pageSize = 500;
/** Beyond the time after which the server ends a watch by itself. */
const watchGraceMs = 30_000;
/** One event: an object of at most a few megabytes. */
const maxLineBytes = 16 * 1024 * 1024;
const newline = 0x0a;

/** The upstream transport: the REST door of any Kubernetes API server. */
export class RestObjectsClient implements ObjectsClient, Watcher {
  constructor(private readonly connection: RestConnection) {}

  async get<T extends KubeObject>(type: ResourceType<T>, key: ObjectKey, signal?: AbortSignal): Promise<Stored<T>> {
    const path = pathOf(type, key.namespace, key.name);
    return decode(await this.connection.call({ method: 'GET', path, timeoutMs: callTimeoutMs, signal }));
  }

  async list<T extends KubeObject>(
    type: ResourceType<T>,
    options: ListOptions = {},
    signal?: AbortSignal,
  ): Promise<ObjectList<Stored<T>>> {
    try {
      return await this.pages(type, options, pageSize, signal);
    } catch (error) {
      // It took so long that the server forgot where it began: in one piece then.
      if (!isReason(error, 'Expired')) throw error;
      return this.pages(type, options, undefined, signal);
    }
  }

  async watch<T extends KubeObject>(
    type: ResourceType<T>,
    options: WatchOptions,
    onEvent: (event: WatchEvent<T>) => void,
    signal: AbortSignal,
  ): Promise<void> {
    const { timeoutSeconds } = options;
    const query = queryOf({
      watch: 'true',
      allowWatchBookmarks: 'true',
      resourceVersion: options.resourceVersion,
      timeoutSeconds: String(timeoutSeconds),
      fieldSelector: options.fieldSelector,
    });
    const path = pathOf(type, options.namespace) + query;
    const timeoutMs = timeoutSeconds * 1000 + watchGraceMs;
    const response = await this.connection.open({ method: 'GET', path, timeoutMs, signal });
    try {
      for await (const line of linesOf(response)) onEvent(toEvent<T>(line));
    } catch (error) {
      throw unreachable(error as Error, signal);
    }
  }

  async create<T extends KubeObject>(type: ResourceType<T>, object: T, options: WriteOptions = {}): Promise<Stored<T>> {
    const { namespace, name } = object.metadata ?? {};
    const path = pathOf(type, namespace, options.subresource ? name : undefined, options.subresource);
    return decode(await this.write('POST', path + writeQuery(options), object));
  }

  async createSubresource<Body extends KubeObject, Answer = Body>(
    type: ResourceType,
    key: ObjectKey,
    subresource: string,
    body: Body,
  ): Promise<Answer> {
    return decode(await this.write('POST', pathOf(type, key.namespace, key.name, subresource), body));
  }

  async update<T extends KubeObject>(type: ResourceType<T>, object: T, options: WriteOptions = {}): Promise<Stored<T>> {
    const { namespace, name = '' } = object.metadata ?? {};
    return decode(
      await this.write('PUT', pathOf(type, namespace, name, options.subresource) + writeQuery(options), object),
    );
  }

  async patch<T extends KubeObject>(
    type: ResourceType<T>,
    key: ObjectKey,
    patch: Patch,
    options: WriteOptions = {},
  ): Promise<Stored<T>> {
    const path = pathOf(type, key.namespace, key.name, options.subresource) + writeQuery(options);
    return decode(await this.write('PATCH', path, patch.body, patchTypes[patch.type]));
  }

  async delete(type: ResourceType, key: ObjectKey, options?: DeleteOptions): Promise<void> {
    await this.write('DELETE', pathOf(type, key.namespace, key.name), options && deleteOptions(options));
  }

  async deleteCollection(type: ResourceType, selection: ListOptions, options?: DeleteOptions): Promise<void> {
    const { namespace, labelSelector, fieldSelector } = selection;
    const path = pathOf(type, namespace) + queryOf({ labelSelector, fieldSelector });
    await this.write('DELETE', path, options && deleteOptions(options));
  }

  close(): void {
    this.connection.close();
  }

  private async pages<T extends KubeObject>(
    type: ResourceType<T>,
    options: ListOptions,
    limit: number | undefined,
    signal: AbortSignal | undefined,
  ): Promise<ObjectList<Stored<T>>> {
    const { namespace, labelSelector, fieldSelector, resourceVersion } = options;
    const items: Stored<T>[] = [];
    for (let token: string | undefined; ;) {
      // Pages of a cache would be no pages: servers answer those whole.
      const page = resourceVersion === '0' ? undefined : limit;
      const query = queryOf({
        labelSelector,
        fieldSelector,
        limit: page === undefined ? undefined : String(page),
        continue: token,
        resourceVersion: token ? undefined : resourceVersion,
      });
      const path = pathOf(type, namespace) + query;
      const list = decode<ObjectList<Stored<T>> & { metadata: { continue?: string } }>(
        await this.connection.call({ method: 'GET', path, timeoutMs: listTimeoutMs, signal }),
      );
      for (const item of list.items ?? []) items.push(item);
      token = list.metadata.continue;
      if (!token) return { metadata: { resourceVersion: list.metadata.resourceVersion ?? '' }, items };
    }
  }

  private write(
    method: 'POST' | 'PUT' | 'PATCH' | 'DELETE',
    path: string,
    body: unknown,
    contentType?: string,
  ): Promise<Buffer> {
    return this.connection.call({
      method,
      path,
      body,
      timeoutMs: callTimeoutMs,
      ...(contentType ? { contentType } : {}),
    });
  }
}

function pathOf(type: ResourceType, namespace: string | undefined, name?: string, subresource?: string): string {
  const { group, version, resource, namespaced } = type;
  const parts = group === '' ? ['api', version] : ['apis', group, version];
  if (namespaced && namespace) parts.push('namespaces', namespace);
  parts.push(resource);
  if (name) parts.push(name);
  if (subresource) parts.push(subresource);
  return `/${parts.map(encodeURIComponent).join('/')}`;
}

function queryOf(values: Record<string, string | undefined>): string {
  const given = Object.entries(values).flatMap(([name, value]) => (value ? [[name, value]] : []));
  return given.length === 0 ? '' : `?${new URLSearchParams(given as [string, string][])}`;
}

function writeQuery({ dryRun, fieldManager }: WriteOptions): string {
  return queryOf({ dryRun: dryRun ? 'All' : undefined, fieldManager });
}

function deleteOptions(options: DeleteOptions): object {
  return { apiVersion: 'v1', kind: 'DeleteOptions', ...options };
}

function decode<T>(bytes: Buffer): T {
  return JSON.parse(bytes.toString()) as T;
}

function toEvent<T extends KubeObject>(line: Buffer): WatchEvent<T> {
  const event = decode<WatchEvent<T> | { type: 'ERROR'; object: Partial<Status> }>(line);
  if (event.type === 'ERROR') throw StatusError.fromStatus(event.object);
  return event;
}

async function* linesOf(stream: AsyncIterable<unknown>): AsyncGenerator<Buffer> {
  let held: Buffer[] = [];
  let size = 0;
  for await (const piece of stream) {
    let rest = piece as Buffer;
    for (let at; (at = rest.indexOf(newline)) >= 0; rest = rest.subarray(at + 1)) {
      held.push(rest.subarray(0, at));
      yield held.length === 1 ? held[0]! : Buffer.concat(held);
      held = [];
      size = 0;
    }
    if (rest.length === 0) continue;
    size += rest.length;
    if (size > maxLineBytes) throw new Error(`an event is larger than ${maxLineBytes} bytes`);
    held.push(rest);
  }
}
