import { StatusError, type Clock } from '@naru/foundation';
import { parseFieldSelector, patchMediaTypes, type KubeObject } from '@naru/api';
import type { Authorizer } from '../auth/authorizer';
import { applyObject, checkPatchOptions } from './apply';
import { decodeBody, decodeConfiguration } from './body';
import { createObject } from './create';
import { checkDeleteOptions, deleteObject } from './delete';
import type { ObjectDeps } from './deps';
import { methodNotAllowed, notFound, pageNotFound } from './failures';
import { candidatesOf, listObjects, recallList, type ListQuery, type ListReply } from './list';
import { modifyObject, type Mode } from './modify';
import { patchedObject } from './patched-object';
import { presentBytes, readyToPresent } from './present';
import { jsonReply, warn, type Body, type DeleteOptions, type ObjectReply, type ObjectRequest } from './request';
import { selectVirtual } from './select-virtual';
import type { VirtualKind } from './virtual-kind';
import type { Subresource } from '../subresources/subresource';

export interface PipelineDeps extends ObjectDeps {
  authorizer: Authorizer;
  subresources: ReadonlyMap<string, Subresource>;
  virtual: ReadonlyMap<string, VirtualKind>;
  /** What every writer is to be told of the store, if anything. */
  storeWarning(): string | undefined;
  clock: Clock;
}

/** Deletions of a collection that run at the same time. */
const deletionWorkers = 16;
const patchTypes = new Set<string>(Object.values(patchMediaTypes));

/** The verbs on stored objects, the same for every door: authorize, admit, validate, commit. */
export class Pipeline {
  constructor(readonly deps: PipelineDeps) {}

  /** `fieldSelector`: of a request for many objects; one that names its object asks for the right to that one. */
  authorize(request: ObjectRequest, fieldSelector = ''): void {
    const { user, verb, definition, subresource } = request;
    const { group, version, resource } = definition.type;
    const selector = fieldSelector === '' ? undefined : parseFieldSelector(fieldSelector, definition);
    const name = request.name || (selector?.requiresExactly('metadata.name') ?? '');
    // A namespace lies in itself: a role in it can let its users read it.
    const namespace = group === '' && resource === 'namespaces' ? request.name : request.namespace;
    this.deps.authorizer.require({ user, verb, group, version, resource, subresource, namespace, name, selector });
  }

  /** `resourceVersion`: how new the answer must be; "" for the present. */
  async get(request: ObjectRequest, resourceVersion = ''): Promise<ObjectReply> {
    this.authorize(request);
    const behind = this.deps.storage.fresh(resourceVersion);
    if (behind) await behind;
    if (!this.isView(request)) {
      const handler = this.subresource(request).get;
      if (!handler) throw methodNotAllowed();
      return handler(this.deps, request);
    }
    const virtual = this.virtual(request);
    if (virtual?.list) {
      const found = (await virtual.list(this.deps, request.signal)).find(o => o.metadata?.name === request.name);
      if (!found) throw notFound(request.definition.type, request.name);
      return jsonReply(found);
    }
    const entry = this.deps.storage.cache(request.definition).get(request.namespace, request.name);
    if (!entry) throw notFound(request.definition.type, request.name);
    await readyToPresent(request.definition, [entry.bytes], request.signal);
    return { code: 200, bytes: presentBytes(request.definition, entry.bytes) };
  }

  async list(request: ObjectRequest, query: ListQuery): Promise<ListReply> {
    this.authorize(request, query.fieldSelector);
    const { storage } = this.deps;
    const nowMs = this.deps.clock.now();
    const behind =
      query.continue === ''
        ? storage.fresh(query.resourceVersion)
        : recallList(storage, request.definition, query, nowMs);
    if (behind) await behind;
    const { definition, signal } = request;
    const virtual = this.virtual(request);
    if (virtual?.list)
      return selectVirtual(definition, await virtual.list(this.deps, signal), query, this.deps.storage.revision);
    return this.listReady(request, query, nowMs);
  }

  /** All is made ready that could be listed: selectors ask about the fields of the requested version. */
  private async listReady(
    { definition, namespace, signal }: ObjectRequest,
    query: ListQuery,
    nowMs: number,
  ): Promise<ListReply> {
    const { storage } = this.deps;
    while (definition.storedAs?.prepare) {
      const entries = candidatesOf(storage, definition, namespace, query, nowMs);
      const ready = readyToPresent(
        definition,
        entries.map(({ bytes }) => bytes),
        signal,
      );
      if (!ready) break;
      // Others may be written meanwhile.
      await ready;
    }
    return listObjects(storage, definition, namespace, query, nowMs);
  }

  create(request: ObjectRequest, body: Body): Promise<ObjectReply> {
    return this.decide(request, () => this.createNow(request, body));
  }

  update(request: ObjectRequest, body: Body): Promise<ObjectReply> {
    return this.decide(request, () => this.updateNow(request, body));
  }

  /** `body.mediaType` says which kind of patch. */
  patch(request: ObjectRequest, body: Body): Promise<ObjectReply> {
    return this.decide(request, () => this.patchNow(request, body));
  }

  delete(request: ObjectRequest, options: DeleteOptions): Promise<ObjectReply> {
    return this.decide(request, () => this.deleteNow(request, options));
  }

  /** A refusal may come of caches that lag behind what other api-servers wrote: then it is decided once more. */
  private async decide(request: ObjectRequest, write: () => Promise<ObjectReply>): Promise<ObjectReply> {
    const { storage, storeWarning } = this.deps;
    const warning = storeWarning();
    if (warning) warn(request, [warning]);
    try {
      return await write();
    } catch (error) {
      if (!storage.shared || !(error instanceof StatusError) || error.code >= 500) throw error;
      const { revision } = storage;
      await storage.fresh('');
      if (storage.revision === revision) throw error;
      return write();
    }
  }

  private async createNow(request: ObjectRequest, body: Body): Promise<ObjectReply> {
    this.authorize(request);
    if (request.subresource !== '') {
      const handler = this.subresource(request).create;
      if (!handler) throw methodNotAllowed();
      return handler(this.deps, request, body);
    }
    this.requireVerb(request, 'create');
    const virtual = this.virtual(request);
    if (virtual?.create) return virtual.create(this.deps, request, body);
    return createObject(this.deps, request, await this.decode(request, body));
  }

  private async updateNow(request: ObjectRequest, body: Body): Promise<ObjectReply> {
    this.authorize(request);
    if (!this.isView(request)) {
      const handler = this.subresource(request).update;
      if (!handler) throw methodNotAllowed();
      return handler(this.deps, request, body);
    }
    this.requireVerb(request, 'update');
    return modifyObject(this.deps, request, {
      mode: this.mode(request),
      transform: () => this.decode(request, body),
    });
  }

  private async patchNow(request: ObjectRequest, body: Body): Promise<ObjectReply> {
    this.authorize(request);
    if (!patchTypes.has(body.mediaType))
      throw new StatusError(
        'UnsupportedMediaType',
        `the body of the request was in an unknown format - accepted media types include: ${[...patchTypes].join(', ')}`,
      );
    const isApply = body.mediaType === patchMediaTypes.apply;
    checkPatchOptions(request, isApply);
    if (!this.isView(request)) {
      const handler = this.subresource(request).patch;
      if (!handler) throw methodNotAllowed();
      return handler(this.deps, request, body);
    }
    this.requireVerb(request, 'patch');
    if (isApply) {
      const authorizeCreate = (): void => this.authorize({ ...request, verb: 'create' });
      const { value, warnings } = await decodeConfiguration(body, request.fieldValidation);
      warn(request, warnings);
      return applyObject({ ...this.deps, authorizeCreate }, request, this.mode(request), value);
    }
    return modifyObject(this.deps, request, {
      mode: this.mode(request),
      transform: current => patchedObject(request, body, current),
    });
  }

  private async deleteNow(request: ObjectRequest, options: DeleteOptions): Promise<ObjectReply> {
    this.authorize(request);
    if (request.subresource !== '') throw methodNotAllowed();
    this.requireVerb(request, 'delete');
    checkDeleteOptions(options);
    return deleteObject(this.deps, request, options);
  }

  /** Deletes what the query selects; the reply is the list of what was selected. */
  async deleteCollection(request: ObjectRequest, query: ListQuery, options: DeleteOptions): Promise<ListReply> {
    this.authorize(request, query.fieldSelector);
    this.requireVerb(request, 'deletecollection');
    checkDeleteOptions(options);
    await this.deps.storage.fresh('');
    const list = await this.listReady(request, query, this.deps.clock.now());
    const entries = list.entries.values();
    const work = async (): Promise<void> => {
      for (const { namespace, name } of entries) {
        try {
          await deleteObject(this.deps, { ...request, verb: 'delete', namespace, name }, options);
        } catch (error) {
          // Gone in the meantime is what was wanted.
          if (!(error instanceof StatusError) || error.reason !== 'NotFound') throw error;
        }
      }
    };
    await Promise.all(Array.from({ length: deletionWorkers }, work));
    return list;
  }

  private virtual({ definition: { type } }: ObjectRequest): VirtualKind | undefined {
    return this.deps.virtual.get(`${type.group}/${type.resource}`);
  }

  /** The handler of a subresource that the kind has. */
  subresource({ definition, subresource }: ObjectRequest): Subresource {
    const { subresources, type } = definition;
    const known =
      subresource === 'scale'
        ? subresources.scale
        : subresource === 'status'
          ? subresources.status
          : subresources.special?.includes(subresource);
    if (!known) throw pageNotFound();
    const handler =
      this.deps.subresources.get(`${type.group}/${type.resource}/${subresource}`) ??
      this.deps.subresources.get(subresource);
    if (!handler) throw methodNotAllowed();
    return handler;
  }

  /** The object itself, or a subresource that shows and changes it as a whole or in a part. */
  private isView({ definition, subresource }: ObjectRequest): boolean {
    if (subresource === '') return true;
    if (subresource === 'status' && definition.subresources.status) return true;
    return Object.hasOwn(definition.strategy.parts ?? {}, subresource);
  }

  private mode({ subresource }: ObjectRequest): Mode {
    if (subresource === '') return 'object';
    return subresource === 'status' ? 'status' : 'part';
  }

  private requireVerb(
    { definition }: ObjectRequest,
    verb: 'create' | 'update' | 'patch' | 'delete' | 'deletecollection',
  ): void {
    if (!definition.verbs.includes(verb)) throw methodNotAllowed();
  }

  private async decode(request: ObjectRequest, body: Body): Promise<KubeObject> {
    const { object, warnings } = await decodeBody(body, request.definition, request.fieldValidation);
    warn(request, warnings);
    return object;
  }
}
