import { namespaces, type Namespace } from '@naru/api';
import { decodeBytes } from '../storage/codec';
import { forbidden, notFound } from '../objects/failures';
import type { AdmissionPlugin } from './plugin';

const immortal = new Set(['default', 'kube-system', 'kube-public']);

/** Nothing is created in a namespace that is missing or ending; the system's namespaces cannot be deleted. */
export const namespaceLifecycle: AdmissionPlugin = {
  name: 'NamespaceLifecycle',
  handles: ({ operation, definition }) =>
    (operation === 'create' && definition.type.namespaced) ||
    (operation === 'delete' && definition.type.resource === namespaces.resource && definition.type.group === ''),
  admit({ operation, definition, namespace, name }, { storage, scheme }) {
    if (operation !== 'create') return;
    const entry = storage.cache(scheme.byResource('', 'v1', 'namespaces')!).get('', namespace);
    if (!entry) throw notFound(namespaces, namespace);
    if (entry.fields['status.phase'] !== 'Terminating') return;
    const { metadata } = decodeBytes<Namespace>(entry.bytes);
    if (!metadata?.deletionTimestamp) return;
    const error = forbidden(
      definition.type,
      name,
      `unable to create new content in namespace ${namespace} because it is being terminated`,
    );
    const cause = {
      reason: 'NamespaceTerminating',
      message: `namespace ${namespace} is being terminated`,
      field: 'metadata.namespace',
    };
    Object.assign(error, { details: { ...error.details, causes: [cause] } });
    throw error;
  },
  validate({ operation, name }) {
    if (operation === 'delete' && immortal.has(name))
      throw forbidden(namespaces, name, 'this namespace may not be deleted');
  },
};
