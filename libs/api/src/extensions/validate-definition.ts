import { deepEqual } from '../deep-equal';
import {
  duplicate,
  forbidden,
  invalid,
  notSupported,
  required,
  tooMany,
  type FieldError,
} from '../validation/field-error';
import { dns1035Problem, dnsSubdomainProblem } from '../validation/names';
import { validateWebhookClient } from '../validation/webhook-client';
import { parseJsonPath } from './json-path';
import {
  isDefinitionConditionTrue,
  type CustomResourceDefinition,
  type CustomResourceNames,
  type CustomResourceVersion,
  type JsonSchema,
  type PrinterColumn,
} from './types';
import { validateSchema } from './validate-schema';

const columnTypes = ['boolean', 'date', 'integer', 'number', 'string'];
const columnFormats = ['byte', 'date', 'date-time', 'double', 'float', 'int32', 'int64', 'password'];
const reviewVersions = ['v1', 'v1beta1'];
const maxVersions = 100;
const maxSelectableFields = 8;

/** Source: apiextensions-apiserver apis/apiextensions/validation. */
export function validateDefinition(o: CustomResourceDefinition, errors: FieldError[]): void {
  const { group, scope, versions, names } = o.spec;
  if (o.metadata?.name && o.metadata.name !== `${names.plural}.${group}`)
    errors.push(invalid('metadata.name', o.metadata.name, 'must be spec.names.plural+"."+spec.group'));
  if (!group) errors.push(required('spec.group'));
  else {
    const problem = dnsSubdomainProblem(group);
    if (problem) errors.push(invalid('spec.group', group, problem));
    else if (!group.includes('.'))
      errors.push(invalid('spec.group', group, 'should be a domain with at least one dot'));
  }
  if (!scope) errors.push(required('spec.scope'));
  else if (scope !== 'Cluster' && scope !== 'Namespaced')
    errors.push(notSupported('spec.scope', scope, ['Cluster', 'Namespaced']));
  if (versions.length > maxVersions) errors.push(tooMany('spec.versions', versions.length, maxVersions));
  else versions.forEach((version, index) => validateVersion(version, `spec.versions[${index}]`, errors));
  if (new Set(versions.map(version => version.name)).size < versions.length)
    errors.push({ ...invalid('spec.versions', versions, 'must contain unique version names'), omitValue: true });
  if (versions.filter(version => version.storage).length !== 1)
    errors.push({
      ...invalid('spec.versions', versions, 'must have exactly one version marked as storage version'),
      omitValue: true,
    });
  for (const key of ['plural', 'singular', 'kind', 'listKind'] as const)
    if (!names[key]) errors.push(required(`spec.names.${key}`));
  validateNames(names, 'spec.names', errors);
  if (o.spec.preserveUnknownFields === true)
    errors.push(
      invalid(
        'spec.preserveUnknownFields',
        true,
        'cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead',
      ),
    );
  validateConversion(o.spec.conversion, errors);
  validateApiApproval(o, errors);
  validateStoredVersions(o, errors);
}

/** What an update may not change, once names have been accepted and objects may exist. */
export function validateDefinitionUpdate(
  next: CustomResourceDefinition,
  old: CustomResourceDefinition,
  errors: FieldError[],
): void {
  const immutable = (path: string, value: unknown, before: unknown): void => {
    if (!deepEqual(value, before)) errors.push(invalid(path, value, 'field is immutable'));
  };
  if (!next.spec || !old.spec) return;
  if (isDefinitionConditionTrue(old, 'Established')) {
    immutable('spec.scope', next.spec.scope, old.spec.scope);
    immutable('spec.names.kind', next.spec.names.kind, old.spec.names.kind);
  }
  immutable('spec.group', next.spec.group, old.spec.group);
  immutable('spec.names.plural', next.spec.names.plural, old.spec.names.plural);
}

function validateNames(names: CustomResourceNames, path: string, errors: FieldError[]): void {
  const check = (at: string, value: string | undefined, mixedCase = false): void => {
    const problem = value ? dns1035Problem(mixedCase ? value.toLowerCase() : value) : undefined;
    if (problem)
      errors.push(
        invalid(at, value, mixedCase ? `may have mixed case, but should otherwise match: ${problem}` : problem),
      );
  };
  check(`${path}.plural`, names.plural);
  check(`${path}.singular`, names.singular);
  check(`${path}.kind`, names.kind, true);
  check(`${path}.listKind`, names.listKind, true);
  names.shortNames?.forEach((name, index) => check(`${path}.shortNames[${index}]`, name));
  if (names.kind && names.kind === names.listKind)
    errors.push(invalid(`${path}.listKind`, names.listKind, 'kind and listKind may not be the same'));
  names.categories?.forEach((name, index) => check(`${path}.categories[${index}]`, name));
}

function validateVersion(version: CustomResourceVersion, path: string, errors: FieldError[]): void {
  const problem = dns1035Problem(version.name ?? '');
  if (problem) errors.push(invalid(`${path}.name`, version.name ?? '', problem));
  const { deprecated, deprecationWarning } = version;
  if (deprecationWarning !== undefined) {
    const at = `${path}.deprecationWarning`;
    if (!deprecated) errors.push(invalid(at, deprecationWarning, 'can only be set for deprecated versions'));
    else if (deprecationWarning.length > 256)
      errors.push(invalid(at, deprecationWarning, 'must be <= 256 characters long'));
    else if (deprecationWarning === '') errors.push(invalid(at, '', 'must not be an empty string'));
  }
  const schema = version.schema?.openAPIV3Schema;
  const schemaPath = `${path}.schema.openAPIV3Schema`;
  if (!schema) errors.push(required(schemaPath));
  else validateSchema(schema, schemaPath, errors);
  validateSubresources(version.subresources, `${path}.subresources`, errors);
  version.additionalPrinterColumns?.forEach((column, index) =>
    validateColumn(column, `${path}.additionalPrinterColumns[${index}]`, errors),
  );
  validateSelectableFields(version, schema, `${path}.selectableFields`, errors);
}

function validateSubresources(
  subresources: CustomResourceVersion['subresources'],
  path: string,
  errors: FieldError[],
): void {
  const scale = subresources?.scale;
  if (!scale) return;
  const check = (key: keyof typeof scale, roots: readonly string[], detail: string): void => {
    const at = `${path}.scale.${key}`;
    const value = scale[key];
    if (!value) {
      if (key !== 'labelSelectorPath') errors.push(required(at));
    } else if (!value.startsWith('.')) errors.push(invalid(at, value, 'must be a simple json path starting with .'));
    else if (!roots.some(root => value.startsWith(root))) errors.push(invalid(at, value, detail));
  };
  check('specReplicasPath', ['.spec.'], 'should be a json path under .spec');
  check('statusReplicasPath', ['.status.'], 'should be a json path under .status');
  check('labelSelectorPath', ['.spec.', '.status.'], 'should be a json path under either .spec or .status');
}

function validateColumn(column: PrinterColumn, path: string, errors: FieldError[]): void {
  if (!column.name) errors.push(required(`${path}.name`));
  const typeDetail = `must be one of ${columnTypes.join(',')}`;
  if (!column.type) errors.push(required(`${path}.type`, typeDetail));
  else if (!columnTypes.includes(column.type)) errors.push(invalid(`${path}.type`, column.type, typeDetail));
  if (column.format && !columnFormats.includes(column.format))
    errors.push(invalid(`${path}.format`, column.format, `must be one of ${columnFormats.join(',')}`));
  if (!column.jsonPath) errors.push(required(`${path}.jsonPath`));
  else if (!column.jsonPath.startsWith('.'))
    errors.push(invalid(`${path}.jsonPath`, column.jsonPath, 'must be a simple json path starting with .'));
  else {
    try {
      parseJsonPath(column.jsonPath);
    } catch (error) {
      errors.push(invalid(`${path}.jsonPath`, column.jsonPath, (error as Error).message));
    }
  }
}

function validateSelectableFields(
  { selectableFields = [] }: CustomResourceVersion,
  schema: JsonSchema | undefined,
  path: string,
  errors: FieldError[],
): void {
  const seen = new Set<string>();
  for (const [index, { jsonPath }] of selectableFields.entries()) {
    const at = `${path}[${index}].jsonPath`;
    if (!jsonPath) {
      errors.push(required(at));
      continue;
    }
    let target: JsonSchema | undefined = schema;
    const names = jsonPath.startsWith('.') ? jsonPath.slice(1).split('.') : [];
    for (const name of names) target = target?.properties?.[name];
    if (names.length === 0 || !target)
      errors.push(invalid(at, jsonPath, 'is an invalid path: does not refer to a valid field'));
    else if (names[0] === 'metadata') errors.push(invalid(at, jsonPath, 'must not point to fields in metadata'));
    else if (!['string', 'boolean', 'integer'].includes(target.type ?? ''))
      errors.push(
        invalid(
          at,
          jsonPath,
          'must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed.',
        ),
      );
    if (seen.has(jsonPath)) errors.push(duplicate(at, jsonPath));
    seen.add(jsonPath);
  }
  if (seen.size > maxSelectableFields) errors.push(tooMany(path, seen.size, maxSelectableFields));
}

function validateConversion(conversion: CustomResourceDefinition['spec']['conversion'], errors: FieldError[]): void {
  const path = 'spec.conversion';
  if (!conversion) return;
  const { strategy, webhook } = conversion;
  if (strategy !== 'None' && strategy !== 'Webhook') {
    errors.push(
      strategy ? notSupported(`${path}.strategy`, strategy, ['None', 'Webhook']) : required(`${path}.strategy`),
    );
    return;
  }
  if (strategy === 'None') {
    if (webhook) errors.push(forbidden(`${path}.webhook`, 'should not be set when strategy is not set to Webhook'));
    return;
  }
  const config = webhook?.clientConfig;
  const at = `${path}.webhook.clientConfig`;
  if (!config) errors.push(required(at, 'required when strategy is set to Webhook'));
  else validateWebhookClient(config, at, errors);
  const versions = webhook?.conversionReviewVersions ?? [];
  const versionsPath = `${path}.webhook.conversionReviewVersions`;
  if (versions.length === 0) errors.push(required(versionsPath));
  else if (!versions.some(version => reviewVersions.includes(version)))
    errors.push(invalid(versionsPath, versions, `must include at least one of ${reviewVersions.join(', ')}`));
}

const approval = 'api-approved.kubernetes.io';

/** The groups of the Kubernetes project itself need its approval. */
function validateApiApproval({ spec, metadata }: CustomResourceDefinition, errors: FieldError[]): void {
  const isProtected = /(^|\.)(k8s\.io|kubernetes\.io)$/.test(spec.group);
  const value = metadata?.annotations?.[approval];
  if (!isProtected) return;
  const path = `metadata.annotations[${approval}]`;
  if (!value)
    errors.push(
      required(
        path,
        'protected groups must have approval annotation "api-approved.kubernetes.io", see https://github.com/kubernetes/enhancements/pull/1111',
      ),
    );
  else if (!value.startsWith('unapproved') && !URL.canParse(value))
    errors.push(
      invalid(
        path,
        value,
        'protected groups must have approval annotation "api-approved.kubernetes.io" with either a URL or a reason starting with "unapproved", see https://github.com/kubernetes/enhancements/pull/1111',
      ),
    );
}

export function validateStoredVersions({ spec, status }: CustomResourceDefinition, errors: FieldError[]): void {
  const stored = status?.storedVersions ?? [];
  const path = 'status.storedVersions';
  if (stored.length === 0) errors.push(invalid(path, stored, 'must have at least one stored version'));
  const storage = spec.versions.find(version => version.storage)?.name;
  if (storage && stored.length > 0 && !stored.includes(storage))
    errors.push(invalid(path, stored, `must have the storage version ${storage}`));
  for (const [index, name] of stored.entries())
    if (!spec.versions.some(version => version.name === name))
      errors.push(
        invalid(
          `${path}[${index}]`,
          name,
          `missing from spec.versions; ${name} was previously a storage version, and must remain in spec.versions until a storage migration ensures no data remains persisted in ${name} and removes ${name} from status.storedVersions`,
        ),
      );
}
