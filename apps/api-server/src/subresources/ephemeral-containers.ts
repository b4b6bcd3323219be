import {
  applyPatch,
  decodeValue,
  invalidObject,
  pods,
  validateEphemeralContainers,
  type KubeObject,
  type Pod,
} from '@naru/api';
import { admitBody } from '../objects/admission-request';
import { decodeBody } from '../objects/body';
import type { ObjectDeps } from '../objects/deps';
import { notFound } from '../objects/failures';
import { modifyObject } from '../objects/modify';
import { warn, type ObjectReply, type ObjectRequest } from '../objects/request';
import type { Subresource } from './subresource';

/** Adds containers to a running pod, for `kubectl debug`; whatever else the body says of the pod is left aside. */
export const ephemeralContainers: Subresource = {
  name: '/pods/ephemeralcontainers',
  async get(deps, { definition, namespace, name }) {
    const entry = deps.storage.cache(definition).get(namespace, name);
    if (!entry) throw notFound(definition.type, name);
    return { code: 200, bytes: entry.bytes };
  },
  async update(deps, request, body) {
    const { object, warnings } = await decodeBody(body, request.definition, request.fieldValidation);
    warn(request, warnings);
    return add(deps, request, () => object);
  },
  patch: (deps, request, body) =>
    add(deps, request, current => {
      const patched = applyPatch(body.mediaType, current, body.bytes, request.definition);
      const { object, warnings } = decodeValue(patched, request.definition, {
        fieldValidation: request.fieldValidation,
      });
      warn(request, warnings);
      return object;
    }),
};

function add(
  deps: ObjectDeps,
  request: ObjectRequest,
  wanted: (current: KubeObject) => KubeObject,
): Promise<ObjectReply> {
  return modifyObject(deps, request, {
    mode: 'raw',
    tracking: 'update',
    async transform(current) {
      const old = current as Pod;
      const { metadata, spec } = wanted(structuredClone(current)) as Pod;
      const next: Pod = {
        ...old,
        metadata: {
          ...old.metadata,
          ...(metadata?.resourceVersion ? { resourceVersion: metadata.resourceVersion } : {}),
        },
        spec: { ...old.spec!, ephemeralContainers: spec?.ephemeralContainers ?? [] },
      };
      request.definition.strategy.applyDefaults(next);
      const admitted = await admitBody(deps, request, 'update', { object: next, old });
      const errors: Parameters<typeof validateEphemeralContainers>[2] = [];
      validateEphemeralContainers(admitted, old, errors);
      if (errors.length > 0) throw invalidObject(pods, request.name, errors);
      return admitted;
    },
  });
}
