import { StatusError } from '@naru/foundation';
import {
  applyPatch,
  invalidObject,
  invalid,
  labelSelectorOf,
  selectorFromMap,
  type KubeObject,
  type LabelSelector,
} from '@naru/api';
import type { AnyDefinition } from '@naru/api';
import { admitBody } from '../objects/admission-request';
import { decodeAny } from '../objects/body';
import { badRequest, methodNotAllowed, notFound } from '../objects/failures';
import { modifyObject } from '../objects/modify';
import { presentObject, readyToPresent } from '../objects/present';
import { jsonReply, type ObjectReply, type ObjectRequest } from '../objects/request';
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
    change(deps, request, async () => {
      const value = await decodeAny(body);
      if (typeof value !== 'object' || value === null) throw badRequest('the body of the request is not a Scale');
      return value as Scale;
    }),
  patch: (deps, request, body) =>
    change(deps, request, current => {
      // A Scale has no lists: a strategic merge is a merge.
      const type = body.mediaType.replace('strategic-merge', 'merge');
      return applyPatch(type, toScale(request.definition, current), body.bytes, request.definition) as Scale;
    }),
};

async function change(
  deps: Parameters<NonNullable<Subresource['get']>>[0],
  request: ObjectRequest,
  wanted: (current: KubeObject) => Scale | Promise<Scale>,
): Promise<ObjectReply> {
  const { definition, name } = request;
  const paths = definition.subresources.scale;
  if (!paths) throw methodNotAllowed();
  const reply = await modifyObject(deps, request, {
    mode: 'object',
    admitted: true,
    transform: async current => {
      const shown = toScale(definition, current);
      const kind = { apiVersion: shown.apiVersion, kind: shown.kind };
      const object: Scale = { ...(await wanted(current)), ...kind };
      const next = await admitBody(deps, request, 'update', { object, old: shown });
      const replicas = next.spec?.replicas ?? 0;
      if (!Number.isInteger(replicas) || replicas < 0 || replicas > 0x7fffffff)
        throw invalidObject({ ...definition.type, group: 'autoscaling', kind: 'Scale' }, name, [
          invalid('spec.replicas', replicas, 'must be greater than or equal to 0'),
        ]);
      write(current, paths.specReplicas, replicas);
      const resourceVersion = next.metadata?.resourceVersion;
      if (resourceVersion) current.metadata = { ...current.metadata, resourceVersion };
      return current;
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
