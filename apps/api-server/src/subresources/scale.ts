import { StatusError } from '@naru/foundation';
import {
  apiVersionOf,
  applyPatch,
  invalidObject,
  invalid,
  labelSelectorOf,
  patchMediaTypes,
  selectorFromMap,
  serverSideApply,
  type KubeObject,
  type LabelSelector,
} from '@naru/api';
import type { AnyDefinition } from '@naru/api';
import { admitBody } from '../objects/admission-request';
import { decodeAny } from '../objects/body';
import type { ObjectDeps } from '../objects/deps';
import { badRequest, methodNotAllowed, notFound } from '../objects/failures';
import { writerOf } from '../objects/field-tracking';
import { modifyObject } from '../objects/modify';
import { presentObject, readyToPresent } from '../objects/present';
import { jsonReply, type Body, type ObjectReply, type ObjectRequest } from '../objects/request';
import { decodeBytes } from '../storage/codec';
import type { Subresource } from './subresource';

interface Scale extends KubeObject {
  spec?: { replicas?: number };
  status?: { replicas: number; selector?: string };
}

/** autoscaling/v1 Scale, a view on one number of a workload. */
export const scale: Subresource = {
  name: 'scale',
  async get(deps, request) {
    const entry = deps.storage.cache(request.definition).get(request.namespace, request.name);
    if (!entry) throw notFound(request.definition.type, request.name);
    await readyToPresent(request.definition, [entry.bytes], request.signal);
    return jsonReply(toScale(request.definition, presentObject(request.definition, entry.bytes)));
  },
  update: (deps, request, body) =>
    change(deps, request, async current => ({ wanted: await scaleIn(body), owner: current })),
  patch: (deps, request, body) =>
    body.mediaType === patchMediaTypes.apply ? apply(deps, request, body) : patch(deps, request, body),
};

async function scaleIn(body: Body): Promise<Scale> {
  const value = await decodeAny(body);
  if (typeof value !== 'object' || value === null) throw badRequest('the body of the request is not a Scale');
  return value as Scale;
}

function patch(deps: ObjectDeps, request: ObjectRequest, body: Body): Promise<ObjectReply> {
  const { definition } = request;
  // A Scale has no lists: a strategic merge is a merge.
  const type = body.mediaType.replace('strategic-merge', 'merge');
  return change(deps, request, current => ({
    wanted: applyPatch(type, toScale(definition, current), body.bytes, definition) as Scale,
    owner: current,
  }));
}

/** Server-side apply of a Scale is one of the object with this one number: its owner is noted there. */
async function apply(deps: ObjectDeps, request: ObjectRequest, body: Body): Promise<ObjectReply> {
  const { definition, name } = request;
  const config = await scaleIn(body);
  if (config.apiVersion !== 'autoscaling/v1' || config.kind !== 'Scale')
    throw badRequest(`invalid object type: ${config.apiVersion || '/'}, Kind=${config.kind ?? ''}`);
  const { type, subresources } = definition;
  const replicas = config.spec?.replicas;
  return change(
    deps,
    request,
    current => {
      const applied: KubeObject = { apiVersion: apiVersionOf(type), kind: type.kind, metadata: { name } };
      if (replicas !== undefined) write(applied, subresources.scale!.specReplicas, replicas);
      const writer = { ...writerOf(deps, request), force: request.force === true };
      const owner = serverSideApply(current, applied, writer);
      return { wanted: { ...toScale(definition, owner), metadata: { ...config.metadata } }, owner };
    },
    'transform',
  );
}

interface Change {
  wanted: Scale;
  /** The object that is scaled, where the number is to be written. */
  owner: KubeObject;
}

async function change(
  deps: ObjectDeps,
  request: ObjectRequest,
  make: (current: KubeObject) => Change | Promise<Change>,
  tracking: 'update' | 'transform' = 'update',
): Promise<ObjectReply> {
  const { definition, name } = request;
  const paths = definition.subresources.scale;
  if (!paths) throw methodNotAllowed();
  const reply = await modifyObject(deps, request, {
    mode: 'object',
    tracking,
    admitted: true,
    transform: async current => {
      const shown = toScale(definition, current);
      const kind = { apiVersion: shown.apiVersion, kind: shown.kind };
      const { wanted, owner } = await make(current);
      const object: Scale = { ...wanted, ...kind };
      const next = await admitBody(deps, request, 'update', { object, old: shown });
      const replicas = next.spec?.replicas ?? 0;
      if (!Number.isInteger(replicas) || replicas < 0 || replicas > 0x7fffffff)
        throw invalidObject({ ...definition.type, group: 'autoscaling', kind: 'Scale' }, name, [
          invalid('spec.replicas', replicas, 'must be greater than or equal to 0'),
        ]);
      write(owner, paths.specReplicas, replicas);
      const resourceVersion = next.metadata?.resourceVersion;
      if (resourceVersion) owner.metadata = { ...owner.metadata, resourceVersion };
      return owner;
    },
  });
  return { code: reply.code, bytes: jsonReply(toScale(definition, decodeBytes(reply.bytes))).bytes };
}

function toScale(definition: AnyDefinition, object: KubeObject): Scale {
  const { specReplicas, statusReplicas, selector } = definition.subresources.scale!;
  const { name, namespace, uid, resourceVersion, creationTimestamp } = object.metadata ?? {};
  const replicas = read(object, specReplicas) as number | undefined;
  if (definition.schema && replicas === undefined)
    throw new StatusError(
      'InternalError',
      `Internal error occurred: the spec replicas field ".${specReplicas}" does not exist`,
    );
  const selected = selector === undefined ? undefined : selectorText(read(object, selector));
  return {
    kind: 'Scale',
    apiVersion: 'autoscaling/v1',
    metadata: { name, namespace, uid, resourceVersion, creationTimestamp },
    spec: { replicas: replicas ?? 0 },
    status: {
      replicas: (read(object, statusReplicas) as number | undefined) ?? 0,
      ...(selected ? { selector: selected } : {}),
    },
  };
}

/** Of a LabelSelector, a map of labels, or (custom resources) a text that is one already. */
function selectorText(found: unknown): string | undefined {
  if (typeof found === 'string') return found;
  if (typeof found !== 'object' || found === null) return undefined;
  if ('matchLabels' in found || 'matchExpressions' in found) return labelSelectorOf(found as LabelSelector).toString();
  return selectorFromMap(found as Record<string, string>).toString();
}

function read(object: unknown, path: string): unknown {
  let value = object;
  for (const part of path.split('.')) value = (value as Record<string, unknown> | undefined)?.[part];
  return value;
}

function write(object: unknown, path: string, value: unknown): void {
  const parts = path.split('.');
  const last = parts.pop()!;
  let target = object as Record<string, unknown>;
  for (const part of parts) target = (target[part] ??= {}) as Record<string, unknown>;
  target[last] = value;
}
