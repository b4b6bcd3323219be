import { stringFormats } from '../extensions/formats';
import type { CustomResourceDefinition, JsonSchema } from '../extensions/types';
import {
  validateDefinition,
  validateDefinitionUpdate,
  validateStoredVersions,
} from '../extensions/validate-definition';
import { customResourceDefinitions } from '../resource';
import { createdAtColumn, nameColumn } from '../table/columns';
import { defineKind } from './define-kind';

function applyDefaults({ spec }: CustomResourceDefinition): void {
  if (!spec) return;
  const names = (spec.names ??= { plural: '', kind: '' });
  spec.versions ??= [];
  if (!names.singular && names.kind) names.singular = names.kind.toLowerCase();
  if (!names.listKind && names.kind) names.listKind = `${names.kind}List`;
  spec.conversion ??= { strategy: 'None' };
  spec.conversion.strategy ||= 'None';
  const service = spec.conversion.webhook?.clientConfig?.service;
  if (service) service.port ??= 443;
}

/** The version that objects are written in belongs to those that may be in the store. */
function rememberStorageVersion(o: CustomResourceDefinition): void {
  const storage = o.spec?.versions?.find(version => version.storage)?.name;
  const stored = o.status?.storedVersions ?? [];
  if (storage && !stored.includes(storage)) o.status = { ...o.status, storedVersions: [...stored, storage] };
}

const knownFormats = new Set([
  ...Object.keys(stringFormats),
  ...['int32', 'int64', 'uint32', 'uint64', 'float', 'double', 'password', 'binary'],
]);

function unknownFormats(schema: JsonSchema | undefined, found: Set<string>): void {
  if (!schema) return;
  if (schema.format && !knownFormats.has(schema.format.replaceAll('-', '')) && !knownFormats.has(schema.format))
    found.add(schema.format);
  for (const child of Object.values(schema.properties ?? {})) unknownFormats(child, found);
  unknownFormats(schema.items, found);
  if (typeof schema.additionalProperties === 'object') unknownFormats(schema.additionalProperties, found);
}

export const customResourceDefinitionKind = defineKind(customResourceDefinitions, {
  needsVersion: true,
  shortNames: ['crd', 'crds'],
  categories: ['api-extensions'],
  subresources: { status: true },
  hasGeneration: true,
  applyDefaults,
  prepareForCreate: o => {
    o.status = {};
    rememberStorageVersion(o);
  },
  prepareForUpdate: rememberStorageVersion,
  prepareForStatusUpdate: (next, old) => {
    // Labels and annotations are not the status.
    if (next.metadata && old.metadata) next.metadata = { ...old.metadata, ...kept(next) };
  },
  validate: (o, errors) => {
    if (o.spec) validateDefinition(o, errors);
    else errors.push({ type: 'FieldValueRequired', field: 'spec', detail: '' });
  },
  validateUpdate: validateDefinitionUpdate,
  validateStatusUpdate: (next, _old, errors) => validateStoredVersions(next, errors),
  warnings: o => {
    const found = new Set<string>();
    for (const version of o.spec.versions) unknownFormats(version.schema?.openAPIV3Schema, found);
    return [...found].map(format => `unrecognized format ${JSON.stringify(format)}`);
  },
  columns: [nameColumn, createdAtColumn],
});

function kept({ metadata }: CustomResourceDefinition): object {
  return {
    ...(metadata?.managedFields ? { managedFields: metadata.managedFields } : {}),
    ...(metadata?.resourceVersion ? { resourceVersion: metadata.resourceVersion } : {}),
  };
}
