import { apiVersionOf, namespaces, type KubeObject } from '@naru/api';
import type { AdmissionRequest } from '../plugin';

export interface GroupVersionKind {
  group: string;
  version: string;
  kind: string;
}

export interface GroupVersionResource {
  group: string;
  version: string;
  resource: string;
}

/** What webhooks and policies call the operations. */
export const operationNames = {
  create: 'CREATE',
  update: 'UPDATE',
  delete: 'DELETE',
  connect: 'CONNECT',
} as const satisfies Record<AdmissionRequest['operation'], string>;

const policyGroup = 'admissionregistration.k8s.io';

/** The objects that configure webhooks and policies: no webhook or policy stands in the way of repairing them. */
export function isExempt({ definition: { type } }: Pick<AdmissionRequest, 'definition'>): boolean {
  return type.group === policyGroup;
}

export function isNamespaceObject({ definition: { type } }: Pick<AdmissionRequest, 'definition'>): boolean {
  return type.group === '' && type.resource === namespaces.resource;
}

/** As admission sees it: a Namespace is in the namespace that it is. */
export function namespaceOf(request: AdmissionRequest): string {
  return isNamespaceObject(request) ? request.name : request.namespace;
}

/** Of the object that is admitted, which for a subresource may be another kind than the resource's. */
export function kindOf({ definition, object, old }: AdmissionRequest): GroupVersionKind {
  const { apiVersion = apiVersionOf(definition.type), kind = definition.type.kind } = object ?? old ?? {};
  const slash = apiVersion.indexOf('/');
  return { group: apiVersion.slice(0, Math.max(0, slash)), version: apiVersion.slice(slash + 1), kind };
}

/** Whether it is an object of the resource itself, and not a Scale, a Binding or the like. */
export function isOwnKind({ definition: { type } }: AdmissionRequest, object: KubeObject): boolean {
  return object.kind === type.kind && object.apiVersion === apiVersionOf(type);
}
