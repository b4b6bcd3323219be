import { labelSelectorOf, type AnyDefinition, type KubeObject } from '@naru/api';
import { presentObject, readyToPresent } from '../../objects/present';
import type { AdmissionDeps, AdmissionRequest } from '../plugin';
import { namespaceOf } from '../matching/attributes';
import type { ParamRef, PolicySpec } from './policy';

/**
 * The objects that parametrize a policy for a request: it is asked once for each, and once without where it has none.
 * Source: apiserver admission/plugin/policy/generic.CollectParams.
 * @throws Error with what is wrong in the binding
 */
export async function collectParams(
  { paramKind }: PolicySpec,
  ref: ParamRef | undefined,
  request: AdmissionRequest,
  deps: AdmissionDeps,
): Promise<(KubeObject | undefined)[]> {
  if (!paramKind || !ref) return [undefined];
  const { apiVersion = '', kind = '' } = paramKind;
  const definition = deps.scheme.byApiVersionAndKind(apiVersion, kind);
  if (!definition?.verbs.includes('list')) throw new Error(`paramKind kind \`${apiVersion}, Kind=${kind}\` not known`);
  const namespace = paramNamespace(definition, ref, request);
  const cache = deps.storage.cache(definition);
  const entries = ref.name
    ? [cache.get(namespace, ref.name)].filter(entry => entry !== undefined)
    : cache.select({ namespace, labels: labelSelectorOf(ref.selector ?? {}) });
  if (entries.length === 0 && ref.parameterNotFoundAction === 'Deny')
    throw new Error('no params found for policy binding with `Deny` parameterNotFoundAction');
  const bytes = entries.map(entry => entry.bytes);
  await readyToPresent(definition, bytes, request.signal);
  return bytes.map(each => presentObject(definition, each));
}

function paramNamespace({ type }: AnyDefinition, ref: ParamRef, request: AdmissionRequest): string {
  if (!type.namespaced) {
    if (ref.namespace) throw new Error('paramRef.namespace must not be provided for a cluster-scoped `paramKind`');
    return '';
  }
  const namespace = ref.namespace || namespaceOf(request);
  if (namespace === '')
    throw new Error('cannot use namespaced paramRef in policy binding that matches cluster-scoped resources');
  return namespace;
}
