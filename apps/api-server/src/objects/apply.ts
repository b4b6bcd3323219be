import { StatusError } from '@naru/foundation';
import {
  apiVersionOf,
  checkApplicable,
  decodeValue,
  forbidden,
  invalidObject,
  kindSchema,
  mergeTypeOf,
  notTyped,
  required,
  serverSideApply,
  typeErrors,
  type AnyDefinition,
  type ApplyWriter,
  type KubeObject,
} from '@naru/api';
import { createObject } from './create';
import type { ObjectDeps } from './deps';
import { badRequest, conflict, notFound } from './failures';
import { writerOf } from './field-tracking';
import { modifyObject, type Mode } from './modify';
import type { ObjectReply, ObjectRequest } from './request';

/** Somebody else may create or delete the object between the look and the write. */
const maxAttempts = 5;
const unknownField = /^unknown field "(.*)"$/;
const patchOptions = { group: 'meta.k8s.io', version: 'v1', kind: 'PatchOptions', resource: 'patchoptions' };

/** @throws StatusError Invalid for options that do not fit the kind of patch. */
export function checkPatchOptions({ fieldManager, force }: ObjectRequest, isApply: boolean): void {
  const errors = [];
  if (isApply && fieldManager === '') errors.push(required('fieldManager', 'is required for apply patch'));
  if (!isApply && force !== undefined) errors.push(forbidden('force', 'may not be specified for non-apply patch'));
  if (errors.length > 0) throw invalidObject(patchOptions as never, '', errors);
}

/** Server-side apply of a parsed configuration; creates what is not there. */
export async function applyObject(
  deps: ObjectDeps & { authorizeCreate(): void },
  request: ObjectRequest,
  mode: Mode,
  value: unknown,
): Promise<ObjectReply> {
  const { definition, namespace, name } = request;
  const config = configurationOf(request, value);
  const cache = deps.storage.cache(definition);
  for (let attempt = 1; ; attempt++) {
    try {
      const writer = (): ApplyWriter => ({ ...writerOf(deps, request), force: request.force === true });
      if (cache.get(namespace, name))
        return await modifyObject(deps, request, {
          mode,
          tracking: 'transform',
          transform: current => normalized(serverSideApply(current, config, writer()), definition),
        });
      if (request.subresource !== '') throw notFound(definition.type, name);
      if (config.metadata?.uid)
        throw conflict(
          definition.type,
          name,
          `uid mismatch: the provided object specified uid ${config.metadata.uid}, and no existing object was found`,
        );
      deps.authorizeCreate();
      const object = normalized(serverSideApply(undefined, config, writer()), definition);
      return await createObject(deps, { ...request, verb: 'create' }, object, { tracked: true });
    } catch (error) {
      const raced =
        error instanceof StatusError &&
        ((error.reason === 'AlreadyExists' && cache.get(namespace, name)) ||
          (error.reason === 'NotFound' && request.subresource === '' && !cache.get(namespace, name)));
      if (!raced || attempt === maxAttempts) throw error;
    }
  }
}

/** The configuration as an object of the kind, in canonical form, with only what it says. */
function configurationOf({ definition, namespace, name }: ObjectRequest, value: unknown): KubeObject {
  const { type } = definition;
  const { apiVersion, kind } = (value ?? {}) as KubeObject;
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw badRequest('error decoding YAML: the configuration is not an object');
  if (apiVersion !== apiVersionOf(type) || kind !== type.kind)
    throw badRequest(`invalid object type: ${apiVersion || '/'}, Kind=${kind ?? ''}`);
  const what = `${namespace}/${name}; ${apiVersion}, Kind=${kind}`;
  const schema = kindSchema(type.group, type.version, type.kind);
  const mergeType = mergeTypeOf(definition);
  // Before all that takes long.
  checkApplicable(mergeType, value);
  const wrong = schema ? typeErrors(schema, mergeType, value) : [];
  if (wrong.length > 0) throw notTyped(what, wrong);
  const { object, warnings } = decodeValue(value, definition, { fieldValidation: 'Warn' });
  const unknown = warnings.flatMap(text => unknownField.exec(text)?.[1] ?? []);
  if (unknown.length > 0)
    throw notTyped(
      what,
      unknown.map(path => `.${path}: field not declared in schema`),
    );
  if (object.metadata?.managedFields) throw badRequest('metadata.managedFields must be nil');
  const metadata = (object.metadata ??= {});
  metadata.name ||= name;
  if (metadata.name !== name)
    throw badRequest(`the name of the object (${metadata.name}) does not match the name on the URL (${name})`);
  return object;
}

/** Checked and private; the owners are ours, and need no check. */
function normalized(applied: KubeObject, definition: AnyDefinition): KubeObject {
  const { managedFields, ...metadata } = applied.metadata ?? {};
  const { object } = decodeValue({ ...applied, metadata }, definition, { fieldValidation: 'Ignore' });
  if (managedFields) (object.metadata ??= {}).managedFields = managedFields;
  return object;
}
