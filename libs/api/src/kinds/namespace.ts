import { namespaces } from '../resource';
import { text } from '../table/columns';
import type { Namespace } from '../types';
import { qualifiedNameProblem, dnsLabelProblem } from '../validation/names';
import { invalid, type FieldError } from '../validation/field-error';
import { defineKind } from './define-kind';

/** Keeps a namespace until its content is gone. */
const kubernetesFinalizer = 'kubernetes';
const nameLabel = 'kubernetes.io/metadata.name';

function validateFinalizers(o: Namespace, errors: FieldError[]): void {
  for (const [index, finalizer] of (o.spec?.finalizers ?? []).entries()) {
    const problem = qualifiedNameProblem(finalizer);
    if (problem) errors.push(invalid(`spec.finalizers[${index}]`, finalizer, problem));
  }
}

export const namespaceKind = defineKind(namespaces, {
  shortNames: ['ns'],
  // Upstream has no deletecollection for namespaces.
  verbs: ['create', 'delete', 'get', 'list', 'patch', 'update', 'watch'],
  nameRule: dnsLabelProblem,
  subresources: { status: true },
  applyDefaults: o => {
    const name = o.metadata?.name;
    if (!name) return;
    const labels: Record<string, string> = (o.metadata!.labels ??= {});
    labels[nameLabel] = name;
  },
  prepareForCreate: o => {
    o.status = { phase: 'Active' };
    const finalizers = (o.spec ??= {}).finalizers ?? [];
    if (!finalizers.includes(kubernetesFinalizer)) o.spec.finalizers = [...finalizers, kubernetesFinalizer];
  },
  prepareForUpdate: (next, old) => {
    if (old.spec) next.spec = old.spec;
  },
  validate: validateFinalizers,
  parts: {
    // The namespace controller's last word: without finalizers a namespace that is being deleted goes away.
    finalize: {
      takesMetadata: true,
      take: ({ spec }, old) => ({ spec: { ...old.spec, finalizers: spec?.finalizers ?? [] } }),
      validate: (next, _old, errors) => validateFinalizers(next, errors),
    },
  },
  validateStatusUpdate: (next, _old, errors) => {
    const phase = next.status?.phase;
    const expected = next.metadata?.deletionTimestamp ? 'Terminating' : 'Active';
    if (phase !== expected) {
      const when = next.metadata?.deletionTimestamp ? 'is not empty' : 'is empty';
      errors.push(invalid('status.phase', phase, `may only be '${expected}' if \`deletionTimestamp\` ${when}`));
    }
  },
  selectable: { 'status.phase': o => o.status?.phase },
  columns: [text('Status', 'The status of the namespace.', o => o.status?.phase ?? '')],
});
