import { StatusError, type Clock } from '@naru/foundation';
import type { AnyDefinition, FieldValidation, IncludeObject, Scheme } from '@naru/api';
import { decodeAny } from '../objects/body';
import { badRequest, methodNotAllowed, pageNotFound } from '../objects/failures';
import { parseRevision, parseSelection, tooLarge, type ListReply } from '../objects/list';
import type { Pipeline } from '../objects/pipeline';
import { readyToPresent } from '../objects/present';
import type { DeleteOptions, ObjectReply, ObjectRequest, UserInfo, Verb } from '../objects/request';
import { responseSink } from '../watch/watch-sink';
import { WatchStream } from '../watch/watch-stream';
import type { HttpRequest, HttpResponse } from './http';
import { parseListOptions } from './list-options';
import { negotiate, type Negotiated } from './negotiate';
import { readBody } from './read-body';
import type { ResourcePath } from './request-info';
import { sendJson, sendParts, setWarnings } from './respond';
import { eventView, listParts, objectView, type ViewOptions } from './views';

export interface ResourceHandlerDeps {
  scheme: Scheme;
  pipeline: Pipeline;
  clock: Clock;
  onWatch?(resource: string, change: 1 | -1): void;
}

export interface ResourceCall {
  request: HttpRequest;
  response: HttpResponse;
  user: UserInfo;
  path: ResourcePath;
  query: URLSearchParams;
  signal: AbortSignal;
}

/** Watches end after a random time between these, so that clients do not come back all at once. */
const minWatchSeconds = 1800;
/** Timers take no more than 24 days. */
const maxWatchSeconds = 86_400;
const fieldValidations = new Set(['Ignore', 'Warn', 'Strict']);
const methods: Record<string, Verb> = { POST: 'create', PUT: 'update', PATCH: 'patch', DELETE: 'delete' };

/** True for "1", "true" and the empty value, as upstream converts query booleans. */
function isSet(query: URLSearchParams, name: string): boolean {
  const value = query.get(name);
  return value !== null && value !== 'false' && value !== '0';
}

export function verbOf(method: string | undefined, path: ResourcePath, query: URLSearchParams): Verb {
  if (method === 'GET' || method === 'HEAD') {
    if (path.watch || isSet(query, 'watch')) return 'watch';
    return path.name === '' ? 'list' : 'get';
  }
  if (method === 'DELETE' && path.name === '') return 'deletecollection';
  const verb = methods[method ?? ''];
  if (!verb) throw methodNotAllowed();
  return verb;
}

/** Serves the URLs of resources. */
export class ResourceHandler {
  constructor(private readonly deps: ResourceHandlerDeps) {}

  async handle(call: ResourceCall): Promise<void> {
    const { request, path, query, user, signal } = call;
    const definition = this.deps.scheme.byResource(path.group, path.version, path.resource);
    if (!definition) throw pageNotFound();
    const verb = verbOf(request.method, path, query);
    const negotiated = negotiate(request.headers.accept, definition);
    const objectRequest: ObjectRequest = {
      user,
      verb,
      definition,
      namespace: definition.type.resource === 'namespaces' ? '' : path.namespace,
      name: path.name,
      subresource: path.subresource,
      dryRun: parseDryRun(query.getAll('dryRun')),
      fieldManager: query.get('fieldManager') ?? '',
      userAgent: request.headers['user-agent'],
      force: query.get('force') === null ? undefined : isSet(query, 'force'),
      fieldValidation: parseFieldValidation(query.get('fieldValidation')),
      warnings: [],
      signal,
    };
    checkScope(objectRequest);
    if (definition.deprecationWarning) objectRequest.warnings.push(definition.deprecationWarning);
    if (verb === 'watch') return this.watch(call, objectRequest, negotiated);
    if (verb === 'list') return this.list(call, objectRequest, negotiated);
    if (verb === 'deletecollection') return this.deleteCollection(call, objectRequest, negotiated);
    const reply = await this.single(call, objectRequest);
    setWarnings(call.response, objectRequest.warnings);
    const bytes = objectView(definition, reply.bytes, this.viewOptions(negotiated, query));
    await sendJson(request, call.response, reply.code, bytes, negotiated.media);
  }

  private async single({ request, query }: ResourceCall, objectRequest: ObjectRequest): Promise<ObjectReply> {
    const { pipeline } = this.deps;
    if (objectRequest.verb === 'get') return pipeline.get(objectRequest, query.get('resourceVersion') ?? '');
    // Who may not do it does not get to send a body.
    pipeline.authorize(objectRequest);
    const body = await readBody(request);
    switch (objectRequest.verb) {
      case 'create':
        return pipeline.create(objectRequest, body);
      case 'update':
        return pipeline.update(objectRequest, body);
      case 'patch':
        return pipeline.patch(objectRequest, body);
      default: {
        const options = parseDeleteOptions(await decodeAny(body), query);
        if (options.dryRun?.length) objectRequest.dryRun = parseDryRun(options.dryRun);
        return pipeline.delete(objectRequest, options);
      }
    }
  }

  private async list(call: ResourceCall, objectRequest: ObjectRequest, negotiated: Negotiated): Promise<void> {
    const list = await this.deps.pipeline.list(objectRequest, parseListOptions(call.query, false));
    await this.sendList(call, objectRequest.definition, list, negotiated);
  }

  private async deleteCollection(
    call: ResourceCall,
    objectRequest: ObjectRequest,
    negotiated: Negotiated,
  ): Promise<void> {
    const selected = parseListOptions(call.query, false);
    this.deps.pipeline.authorize(objectRequest, selected.fieldSelector);
    const options = parseDeleteOptions(await decodeAny(await readBody(call.request)), call.query);
    if (options.dryRun?.length) objectRequest.dryRun = parseDryRun(options.dryRun);
    const list = await this.deps.pipeline.deleteCollection(objectRequest, selected, options);
    await this.sendList(call, objectRequest.definition, list, negotiated);
  }

  private async sendList(
    { request, response, query }: ResourceCall,
    definition: AnyDefinition,
    list: ListReply,
    negotiated: Negotiated,
  ): Promise<void> {
    if (definition.deprecationWarning) setWarnings(response, [definition.deprecationWarning]);
    const parts = listParts(definition, list.entries, list, this.viewOptions(negotiated, query));
    if (negotiated.media === 'yaml') return sendJson(request, response, 200, Buffer.concat(parts), 'yaml');
    await sendParts(request, response, parts);
  }

  private async watch(call: ResourceCall, objectRequest: ObjectRequest, negotiated: Negotiated): Promise<void> {
    const { pipeline, clock } = this.deps;
    const { response, query, signal } = call;
    const { definition, namespace, name } = objectRequest;
    const { storage } = pipeline.deps;
    const text = parseListOptions(query, true);
    pipeline.authorize(objectRequest, text.fieldSelector);
    // The old form /watch/.../NAME watches one object.
    if (name !== '') text.fieldSelector = [text.fieldSelector, `metadata.name=${name}`].filter(Boolean).join(',');
    const revision = parseRevision(text.resourceVersion);
    await storage.fresh(text.resourceVersion);
    if (revision > storage.revision) throw tooLarge(revision, storage.revision);
    const seconds = text.timeoutSeconds > 0 ? text.timeoutSeconds : minWatchSeconds * (1 + Math.random());
    const view = this.viewOptions(negotiated, query);
    const stream = new WatchStream(responseSink(call.request, response), {
      definition,
      cache: storage.cache(definition),
      selection: parseSelection(definition, namespace, text),
      after: revision === 0 ? undefined : revision,
      bookmarks: isSet(query, 'allowWatchBookmarks'),
      initialEvents: text.sendInitialEvents,
      timeoutMs: Math.min(seconds, maxWatchSeconds) * 1000,
      clock,
      currentRevision: () => storage.revision,
      ...(definition.storedAs?.prepare
        ? { ready: (bytes: readonly Buffer[]) => readyToPresent(definition, bytes) }
        : {}),
      view: (bytes, first) => eventView(definition, bytes, { ...view, nowMs: clock.now() }, first),
      sharedBy: negotiated.as === 'object' ? definition : undefined,
    });
    response.setHeader('content-type', 'application/json');
    stream.start();
    response.writeHead(200);
    response.flushHeaders?.();
    this.deps.onWatch?.(definition.type.resource, 1);
    return new Promise(resolve => {
      const finish = (): void => {
        stream.stop();
        this.deps.onWatch?.(definition.type.resource, -1);
        resolve();
      };
      response.once('close', finish);
      signal.addEventListener('abort', () => stream.end(), { once: true });
    });
  }

  private viewOptions({ as }: Negotiated, query: URLSearchParams): ViewOptions {
    return {
      as,
      includeObject: (query.get('includeObject') ?? '') as IncludeObject | '',
      nowMs: this.deps.clock.now(),
    };
  }
}

function checkScope({ definition, namespace, verb }: ObjectRequest): void {
  if (!definition.type.namespaced) {
    if (namespace !== '') throw pageNotFound();
    return;
  }
  if (namespace === '' && verb !== 'list' && verb !== 'watch') throw pageNotFound();
}

export function parseDryRun(values: readonly string[]): boolean {
  const wrong = values.find(value => value !== 'All');
  if (wrong !== undefined)
    throw new StatusError('Invalid', `dryRun: Unsupported value: ["${wrong}"]: supported values: "All"`);
  return values.length > 0;
}

function parseFieldValidation(value: string | null): FieldValidation | undefined {
  if (value === null || value === '') return undefined;
  if (!fieldValidations.has(value))
    throw badRequest(`fieldValidation: Unsupported value: "${value}": supported values: "Ignore", "Strict", "Warn"`);
  return value as FieldValidation;
}

const optionTypes: Record<string, (value: unknown) => boolean> = {
  gracePeriodSeconds: Number.isSafeInteger,
  propagationPolicy: value => typeof value === 'string',
  orphanDependents: value => typeof value === 'boolean',
  preconditions: value => typeof value === 'object' && !Array.isArray(value),
  dryRun: value => Array.isArray(value) && value.every(item => typeof item === 'string'),
};

function checkOptionTypes(options: Record<string, unknown>): void {
  const { preconditions } = options as { preconditions?: Record<string, unknown> | null };
  for (const [field, isRight] of Object.entries(optionTypes)) {
    const value = options[field];
    if (value === undefined || value === null || isRight(value)) continue;
    throw badRequest(`DeleteOptions in version "v1" cannot be handled as a DeleteOptions: ${field} is of a wrong type`);
  }
  for (const field of ['uid', 'resourceVersion'])
    if (preconditions?.[field] !== undefined && typeof preconditions[field] !== 'string')
      throw badRequest(
        `DeleteOptions in version "v1" cannot be handled as a DeleteOptions: preconditions.${field} is of a wrong type`,
      );
}

/** DeleteOptions from the body, or else from the query. */
function parseDeleteOptions(body: unknown, query: URLSearchParams): DeleteOptions {
  if (body !== undefined && body !== null) {
    if (typeof body !== 'object' || Array.isArray(body))
      throw badRequest('the body of the request is not DeleteOptions');
    checkOptionTypes(body as Record<string, unknown>);
    return body as DeleteOptions;
  }
  const grace = query.get('gracePeriodSeconds');
  const policy = query.get('propagationPolicy');
  const orphan = query.get('orphanDependents');
  return {
    ...(grace === null ? {} : { gracePeriodSeconds: Number(grace) }),
    ...(policy === null ? {} : { propagationPolicy: policy }),
    ...(orphan === null ? {} : { orphanDependents: orphan === 'true' }),
  };
}
