import { namespaces, type KubeObject, type Namespace, type Selector } from '@naru/api';
import { notFound } from '../../objects/failures';
import { decodeBytes } from '../../storage/codec';
import type { AdmissionDeps, AdmissionRequest } from '../plugin';
import { isNamespaceObject, namespaceOf } from './attributes';

/** @throws StatusError NotFound when the namespace of the request is not there */
export function namespaceMatches(selector: Selector, request: AdmissionRequest, deps: AdmissionDeps): boolean {
  if (selector.empty) return true;
  const name = namespaceOf(request);
  if (name === '' && !isNamespaceObject(request)) return true;
  return selector.matches(labelsOfNamespace(request, name, deps));
}

function labelsOfNamespace(
  request: AdmissionRequest,
  name: string,
  { storage, scheme }: AdmissionDeps,
): Record<string, string | undefined> | undefined {
  const writes = request.operation === 'create' || request.operation === 'update';
  if (isNamespaceObject(request) && request.subresource === '' && writes) return request.object?.metadata?.labels;
  const entry = storage.cache(scheme.byResource('', 'v1', namespaces.resource)!).get('', name);
  if (!entry) throw notFound(namespaces, name);
  return entry.labels as Record<string, string> | undefined;
}

/** The namespace that a request is in, as it is stored; undefined for what is in none. */
export function storedNamespace(request: AdmissionRequest, { storage, scheme }: AdmissionDeps): Namespace | undefined {
  const entry = storage
    .cache(scheme.byResource('', 'v1', namespaces.resource)!)
    .get('', isNamespaceObject(request) ? '' : namespaceOf(request));
  return entry && decodeBytes<Namespace>(entry.bytes);
}

/** The object before or after the change: either may be selected. */
export function objectMatches(selector: Selector, { object, old }: AdmissionRequest): boolean {
  const matches = (o: KubeObject | undefined): boolean =>
    o?.metadata !== undefined && selector.matches(o.metadata.labels);
  return selector.empty || matches(object) || matches(old);
}
