import type { KubeObject, ObjectMeta, OwnerReference } from '../types';
import { forbidden, invalid, required, tooLong, type FieldError } from './field-error';
import { dnsLabelProblem, labelValueProblem, qualifiedNameProblem, type NameRule } from './names';

const maxAnnotationBytes = 256 * 1024;

/** What holds for the metadata of every kind. Source: apimachinery api/validation.ValidateObjectMeta. */
export function validateMetadata(o: KubeObject, namespaced: boolean, nameRule: NameRule, errors: FieldError[]): void {
  const meta: ObjectMeta = o.metadata ?? {};
  if (meta.generateName) {
    const problem = nameRule(maskTrailingDash(meta.generateName));
    if (problem) errors.push(invalid('metadata.generateName', meta.generateName, problem));
  }
  if (!meta.name) errors.push(required('metadata.name', 'name or generateName is required'));
  else {
    const problem = nameRule(meta.name);
    if (problem) errors.push(invalid('metadata.name', meta.name, problem));
  }
  validateNamespace(meta.namespace, namespaced, errors);
  if ((meta.generation ?? 0) < 0)
    errors.push(invalid('metadata.generation', meta.generation, 'must be greater than or equal to 0'));
  validateLabels(meta.labels, 'metadata.labels', errors);
  validateAnnotations(meta.annotations, 'metadata.annotations', errors);
  validateOwnerReferences(meta.ownerReferences, errors);
  for (const finalizer of meta.finalizers ?? []) {
    const problem = qualifiedNameProblem(finalizer);
    if (problem) errors.push(invalid('metadata.finalizers', finalizer, problem));
  }
}

/** A generated name goes on after the dash, so a dash at the end is good. */
function maskTrailingDash(name: string): string {
  return name.length > 1 && name.endsWith('-') ? `${name.slice(0, -2)}a` : name;
}

function validateNamespace(namespace: string | undefined, namespaced: boolean, errors: FieldError[]): void {
  if (!namespaced) {
    if (namespace) errors.push(forbidden('metadata.namespace', 'not allowed on this type'));
  } else if (!namespace) {
    errors.push(required('metadata.namespace'));
  } else {
    const problem = dnsLabelProblem(namespace);
    if (problem) errors.push(invalid('metadata.namespace', namespace, problem));
  }
}

export function validateLabels(labels: Record<string, string> | undefined, path: string, errors: FieldError[]): void {
  for (const key in labels) {
    const keyProblem = qualifiedNameProblem(key);
    if (keyProblem) errors.push(invalid(path, key, keyProblem));
    const value = labels[key] ?? '';
    const valueProblem = labelValueProblem(value);
    if (valueProblem) errors.push(invalid(path, value, valueProblem));
  }
}

export function validateAnnotations(
  annotations: Record<string, string> | undefined,
  path: string,
  errors: FieldError[],
): void {
  let size = 0;
  for (const key in annotations) {
    const problem = qualifiedNameProblem(key.toLowerCase());
    if (problem) errors.push(invalid(path, key, problem));
    size += key.length + (annotations[key]?.length ?? 0);
  }
  if (size > maxAnnotationBytes) errors.push(tooLong(path, maxAnnotationBytes));
}

function validateOwnerReferences(references: readonly OwnerReference[] | undefined, errors: FieldError[]): void {
  const path = 'metadata.ownerReferences';
  let controller: OwnerReference | undefined;
  for (const [index, reference] of (references ?? []).entries()) {
    const at = `${path}[${index}]`;
    if (!reference.apiVersion) errors.push(invalid(`${at}.apiVersion`, '', 'version must not be empty'));
    if (!reference.kind) errors.push(invalid(`${at}.kind`, '', 'must not be empty'));
    if (!reference.name) errors.push(invalid(`${at}.name`, '', 'must not be empty'));
    if (!reference.uid) errors.push(invalid(`${at}.uid`, '', 'must not be empty'));
    if (reference.kind === 'Event' && (reference.apiVersion === 'v1' || reference.apiVersion?.startsWith('events.')))
      errors.push(invalid(at, reference, `${reference.apiVersion}, Kind=Event is disallowed from being an owner`));
    if (!reference.controller) continue;
    if (controller) {
      errors.push(
        invalid(
          path,
          references,
          `Only one reference can have Controller set to true. Found "true" in references for ${controller.name} and ${reference.name}`,
        ),
      );
    }
    controller = reference;
  }
}

const immutable = [
  'name',
  'namespace',
  'uid',
  'creationTimestamp',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
] as const satisfies readonly (keyof ObjectMeta)[];

/** Some kinds are not overwritten by those who have not seen what they overwrite. */
export function validateVersion({ metadata }: KubeObject, errors: FieldError[]): void {
  if (!metadata?.resourceVersion || metadata.resourceVersion === '0')
    errors.unshift(invalid('metadata.resourceVersion', 0, 'must be specified for an update'));
}

/** What an update may not change. Runs after `keepSystemMetadata`. */
export function validateMetadataUpdate(next: KubeObject, old: KubeObject, errors: FieldError[]): void {
  for (const field of immutable) {
    const value = next.metadata?.[field];
    if (value !== old.metadata?.[field]) errors.push(invalid(`metadata.${field}`, value ?? null, 'field is immutable'));
  }
  // While the object waits for its finalizers, they may only go.
  if (!old.metadata?.deletionTimestamp) return;
  const before = new Set(old.metadata.finalizers);
  const added = next.metadata?.finalizers?.filter(finalizer => !before.has(finalizer)) ?? [];
  if (added.length > 0) {
    errors.push(
      forbidden(
        'metadata.finalizers',
        `no new finalizers can be added if the object is being deleted, found new finalizers ${JSON.stringify(added)}`,
      ),
    );
  }
}

/** Fills what clients may leave out of an update, and keeps what is not theirs to write. */
export function keepSystemMetadata(next: KubeObject, old: KubeObject): void {
  const meta: ObjectMeta = (next.metadata ??= {});
  const before = old.metadata ?? {};
  if (!meta.uid && before.uid) meta.uid = before.uid;
  if (!meta.creationTimestamp && before.creationTimestamp) meta.creationTimestamp = before.creationTimestamp;
  if (before.deletionTimestamp) meta.deletionTimestamp = before.deletionTimestamp;
  if (before.deletionGracePeriodSeconds !== undefined && meta.deletionGracePeriodSeconds === undefined)
    meta.deletionGracePeriodSeconds = before.deletionGracePeriodSeconds;
  if (before.generation === undefined) delete meta.generation;
  else meta.generation = before.generation;
  delete meta.selfLink;
}
