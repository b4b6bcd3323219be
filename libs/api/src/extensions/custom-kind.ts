import { deepEqual } from '../deep-equal';
import type { ResourceDefinition, ScalePaths, StoredAs, Strategy } from '../scheme/definition';
import type { ResourceType } from '../resource';
import { mergeTypeOfStructuralSchema } from '../managed-fields/schema-merge-type';
import type { ObjectType } from '../managed-fields/merge-type';
import type { KubeObject } from '../types';
import { collectFieldErrors } from '../validation/collect-field-errors';
import { invalid, type FieldError } from '../validation/field-error';
import { keepSystemMetadata, validateMetadata, validateMetadataUpdate, validateVersion } from '../validation/metadata';
import { dnsSubdomainProblem } from '../validation/names';
import { ruleValidator } from './cel/load';
import type { RuleValidator } from './cel/rule-validator';
import { customColumns } from './columns';
import { applySchemaDefaults } from './defaults';
import { validateEmbedded } from './embedded';
import { parseJsonPath } from './json-path';
import { validateListTypes } from './list-types';
import { pruneObject } from './prune';
import { compileStructural, type Structural } from './structural';
import type { CustomResourceDefinition, CustomResourceVersion } from './types';
import { validateValue } from './validate-value';

type JsonObject = Record<string, unknown>;
type CustomObject = KubeObject & JsonObject;

const verbs = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'] as const;

export interface CustomKindOptions {
  crd: CustomResourceDefinition;
  version: CustomResourceVersion;
  /** Set where objects may be stored in another version. */
  storedAs?: StoredAs | undefined;
}

/** The row of one version of a custom resource. Rules must be loaded when the schema has any. */
export function customKind({ crd, version, storedAs }: CustomKindOptions): ResourceDefinition {
  const { spec, status } = crd;
  const names = status?.acceptedNames ?? spec.names;
  const type: ResourceType = {
    group: spec.group,
    version: version.name,
    resource: spec.names.plural,
    kind: names.kind,
    namespaced: spec.scope === 'Namespaced',
  };
  const schema = version.schema?.openAPIV3Schema ?? { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };
  const structural = compileStructural(schema);
  const hasStatus = version.subresources?.status !== undefined;
  const scale = scalePathsOf(version);
  const selectable = (version.selectableFields ?? []).map(({ jsonPath }) => ({
    name: jsonPath.replace(/^\./, ''),
    find: parseJsonPath(jsonPath),
  }));
  let mergeType: ObjectType | undefined;
  const nameFields = type.namespaced ? ['metadata.name', 'metadata.namespace'] : ['metadata.name'];
  return {
    type,
    listKind: names.listKind ?? `${names.kind}List`,
    singular: names.singular ?? names.kind.toLowerCase(),
    shortNames: names.shortNames ?? [],
    categories: names.categories ?? [],
    verbs,
    subresources: { ...(hasStatus ? { status: true as const } : {}), ...(scale ? { scale } : {}) },
    strategy: strategyOf(type, structural, hasStatus),
    columns: customColumns(version.additionalPrinterColumns),
    selectableFieldNames: [...nameFields, ...selectable.map(({ name }) => name)],
    selectableFields: o => {
      const fields: Record<string, string> = { 'metadata.name': o.metadata?.name ?? '' };
      if (type.namespaced) fields['metadata.namespace'] = o.metadata?.namespace ?? '';
      for (const { name, find } of selectable) {
        const [value] = find(o);
        fields[name] = value === undefined || value === null ? '' : String(value as string | number | boolean);
      }
      return fields;
    },
    ...(storedAs ? { storedAs } : {}),
    strategicMerge: false,
    mergeType: () => (mergeType ??= mergeTypeOfStructuralSchema(schema)),
    schema,
    prune: o => pruneObject(o as CustomObject, structural),
    normalize: o => {
      // Stored in another version: it is looked at when it is converted.
      if (o.apiVersion !== `${type.group}/${type.version}`) return false;
      const before = structural.hasDefaults ? structuredClone(o) : undefined;
      const unknown = pruneObject(o as CustomObject, structural);
      applySchemaDefaults(o, structural);
      return unknown.length > 0 || (before !== undefined && !deepEqual(before, o));
    },
    ...(version.deprecated
      ? { deprecationWarning: version.deprecationWarning ?? `${type.group}/${type.version} ${type.kind} is deprecated` }
      : {}),
  };
}

function scalePathsOf({ subresources }: CustomResourceVersion): ScalePaths | undefined {
  const scale = subresources?.scale;
  if (!scale) return undefined;
  const dotted = (path: string): string => path.replace(/^\./, '');
  return {
    specReplicas: dotted(scale.specReplicasPath),
    statusReplicas: dotted(scale.statusReplicasPath),
    ...(scale.labelSelectorPath ? { selector: dotted(scale.labelSelectorPath) } : {}),
  };
}

/** Errors that make rules senseless. */
const blocking = new Set<FieldError['type']>([
  'FieldValueNotSupported',
  'FieldValueRequired',
  'FieldValueTooLong',
  'FieldValueTooMany',
  'FieldValueTypeInvalid',
]);

const notChecked = invalid(
  '<nil>',
  'null',
  'some validation rules were not checked because the object was invalid; correct the existing errors to complete validation',
);

/** Source: apiextensions-apiserver registry/customresource/strategy.go. */
function strategyOf(type: ResourceType, schema: Structural, hasStatus: boolean): Strategy<KubeObject> {
  const rules: RuleValidator | undefined = schema.hasRules ? ruleValidator(schema) : undefined;
  const check = (o: KubeObject, old: KubeObject | undefined): FieldError[] =>
    collectFieldErrors(errors => {
      validateMetadata(o, type.namespaced, dnsSubdomainProblem, errors);
      if (old) validateMetadataUpdate(o, old, errors);
      errors.push(...(old ? validateValue(o, schema, old) : validateValue(o, schema)));
      if (schema.hasEmbedded) validateEmbedded(o, schema, '', errors);
      if (schema.hasListTypes && (!old || validateListTypes(old, schema).length === 0))
        validateListTypes(o, schema, '', errors);
      if (!rules) return;
      if (errors.some(error => blocking.has(error.type))) errors.push(notChecked);
      else errors.push(...rules.validate(o, old));
    });
  return {
    applyDefaults: o => applySchemaDefaults(o, schema),
    prepareForCreate: o => {
      const meta = (o.metadata ??= {});
      delete meta.deletionTimestamp;
      delete meta.deletionGracePeriodSeconds;
      delete meta.selfLink;
      if (hasStatus) delete (o as CustomObject)['status'];
      meta.generation = 1;
    },
    prepareForUpdate: (next, old) => {
      keepSystemMetadata(next, old);
      const to = next as CustomObject;
      const from = old as CustomObject;
      if (hasStatus) {
        if (from['status'] === undefined) delete to['status'];
        else to['status'] = from['status'];
      }
      const { metadata: _next, ...content } = to;
      const { metadata: _old, ...before } = from;
      const meta = next.metadata!;
      const generation = old.metadata?.generation ?? 0;
      meta.generation = deepEqual(content, before) ? generation : generation + 1;
    },
    prepareForStatusUpdate: (next, old) => {
      const to = next as CustomObject;
      const { status: _, ...rest } = old as CustomObject;
      const { managedFields, resourceVersion } = next.metadata ?? {};
      for (const key of Object.keys(to)) if (key !== 'status') delete to[key];
      Object.assign(to, rest);
      next.metadata = {
        ...old.metadata,
        ...(managedFields ? { managedFields } : {}),
        ...(resourceVersion ? { resourceVersion } : {}),
      };
    },
    validateCreate: o => check(o, undefined),
    validateUpdate: (next, old) => {
      const errors = check(next, old);
      validateVersion(next, errors);
      return errors;
    },
    validateStatusUpdate: check,
    warnings: o => finalizerWarnings(o),
  };
}

function finalizerWarnings({ metadata }: KubeObject): string[] {
  const known = new Set(['orphan', 'foregroundDeletion', 'kubernetes']);
  return (metadata?.finalizers ?? [])
    .filter(name => !name.includes('/') && !known.has(name))
    .map(
      name =>
        `metadata.finalizers: ${JSON.stringify(name)}: prefer a domain-qualified finalizer name including a path (/) to avoid accidental conflicts with other finalizer writers`,
    );
}
