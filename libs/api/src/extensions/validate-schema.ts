import { invalid, forbidden, notSupported, required, type FieldError } from '../validation/field-error';
import { ruleValidator, rulesLoaded } from './cel/load';
import { applySchemaDefaults } from './defaults';
import { pruneObject } from './prune';
import { compilePattern, compileStructural, type Structural } from './structural';
import type { JsonSchema, ValidationRule } from './types';
import { validateValue } from './validate-value';

type Level = 'root' | 'item' | 'field';

const types = ['array', 'boolean', 'integer', 'null', 'number', 'object', 'string'];
const reasons = ['FieldValueDuplicate', 'FieldValueForbidden', 'FieldValueInvalid', 'FieldValueRequired'];
const maxDepth = 100;
const maxNodes = 50_000;

interface Context {
  errors: FieldError[];
  nodes: number;
  /** Why defaults are not allowed here. */
  noDefaults: string | undefined;
  /** The nearest list or map whose members have no identity over time. */
  uncorrelatable: string | undefined;
  depth: number;
}

/**
 * What keeps a schema from being structural, or itself from being right, in upstream's words. Source:
 * apiextensions-apiserver schema/validation.go and apis/apiextensions/validation.
 */
export function validateSchema(schema: JsonSchema, path: string, errors: FieldError[]): void {
  const before = errors.length;
  if (schema.nullable) errors.push(forbidden(`${path}.nullable`, 'nullable cannot be true at the root'));
  const context: Context = { errors, nodes: 0, noDefaults: undefined, uncorrelatable: undefined, depth: 0 };
  checkStructure(schema, 'root', path, context);
  if (context.nodes > maxNodes) errors.push(invalid(path, '', `must not have more than ${maxNodes} nodes`));
  if (errors.length > before) return;
  checkCompleteness(schema, schema, path, errors);
  if (errors.length > before) return;
  const structural = compileStructural(schema);
  checkDefaults(structural, path, errors);
  if (errors.length === before && structural.hasRules && rulesLoaded()) checkRules(structural, path, errors);
}

function checkStructure(schema: JsonSchema, level: Level, path: string, context: Context): void {
  const { errors } = context;
  context.nodes++;
  if (context.depth > maxDepth || context.nodes > maxNodes) {
    if (context.depth > maxDepth) errors.push(invalid(path, '', `must not be nested more than ${maxDepth} levels`));
    return;
  }
  checkBasics(schema, level, path, context);
  checkValueValidation(schema, path, errors);
  checkListType(schema, path, errors);
  checkRuleTexts(schema['x-kubernetes-validations'] ?? [], path, errors);
  checkChildren(schema, level, path, context);
}

function checkBasics(schema: JsonSchema, level: Level, path: string, { errors, noDefaults }: Context): void {
  const type = schema.type ?? '';
  const preserve = schema['x-kubernetes-preserve-unknown-fields'];
  const isIntOrString = schema['x-kubernetes-int-or-string'] === true;
  const isEmbedded = schema['x-kubernetes-embedded-resource'] === true;
  if (type !== '' && !types.includes(type)) errors.push(notSupported(`${path}.type`, type, types));
  if (type === 'null')
    errors.push(forbidden(`${path}.type`, 'type cannot be set to null, use nullable as an alternative'));
  if (schema.default !== undefined && noDefaults !== undefined)
    errors.push(forbidden(`${path}.default`, `must not be set ${noDefaults}`));
  for (const key of ['id', 'additionalItems', 'patternProperties', 'definitions', 'dependencies', '$ref'])
    if ((schema as Record<string, unknown>)[key] !== undefined)
      errors.push(forbidden(`${path}.${key}`, `${key} is not supported`));
  if (Array.isArray(schema.items))
    errors.push(forbidden(`${path}.items`, 'items must be a schema object and not an array'));
  if (schema.uniqueItems)
    errors.push(
      forbidden(
        `${path}.uniqueItems`,
        'uniqueItems cannot be set to true since the runtime complexity becomes quadratic',
      ),
    );
  if (preserve === false)
    errors.push(invalid(`${path}.x-kubernetes-preserve-unknown-fields`, false, 'must be true or undefined'));
  if (isIntOrString && preserve)
    errors.push(
      invalid(
        `${path}.x-kubernetes-preserve-unknown-fields`,
        true,
        'must be false if x-kubernetes-int-or-string is true',
      ),
    );
  if (isIntOrString && isEmbedded)
    errors.push(
      invalid(`${path}.x-kubernetes-embedded-resource`, true, 'must be false if x-kubernetes-int-or-string is true'),
    );
  if (type === 'array' && !schema.items) errors.push(required(`${path}.items`, 'must be specified'));
  if (isEmbedded && type !== 'object') {
    const detail = 'must be object if x-kubernetes-embedded-resource is true';
    errors.push(type === '' ? required(`${path}.type`, detail) : invalid(`${path}.type`, type, detail));
  } else if (type === '' && !isIntOrString && !preserve) {
    const where = {
      root: 'at the root',
      item: 'for specified array items',
      field: 'for specified object fields',
    }[level];
    errors.push(required(`${path}.type`, `must not be empty ${where}`));
  }
  if (level === 'root' && type !== '' && type !== 'object')
    errors.push(invalid(`${path}.type`, type, 'must be object at the root'));
  if (isEmbedded && !preserve && !schema.properties)
    errors.push(
      required(
        `${path}.properties`,
        'must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields',
      ),
    );
  checkMetadataSchemas(schema, level === 'root', level === 'root' || isEmbedded, path, errors);
}

function checkMetadataSchemas(
  { properties }: JsonSchema,
  isRoot: boolean,
  isResource: boolean,
  path: string,
  errors: FieldError[],
): void {
  if (!isResource) return;
  for (const key of ['kind', 'apiVersion']) {
    const type = properties?.[key]?.type;
    if (properties?.[key] && type !== 'string')
      errors.push(invalid(`${path}.properties[${key}].type`, type ?? '', 'must be string'));
  }
  const metadata = properties?.['metadata'];
  if (!metadata) return;
  const at = `${path}.properties[metadata]`;
  if (metadata.type !== 'object') errors.push(invalid(`${at}.type`, metadata.type ?? '', 'must be object'));
  const { type: _, description: _description, properties: restricted = {}, ...others } = metadata;
  const allowed = Object.keys(restricted).every(key => key === 'name' || key === 'generateName');
  if (isRoot && (!allowed || Object.keys(others).length > 0))
    errors.push(
      forbidden(at, 'must not specify anything other than name and generateName, but metadata is implicitly specified'),
    );
}

function checkChildren(schema: JsonSchema, level: Level, path: string, context: Context): void {
  const { errors } = context;
  const extra = schema.additionalProperties;
  const down = (changes: Partial<Context>): Context => {
    const child = { ...context, ...changes, depth: context.depth + 1 };
    return child;
  };
  const visit = (child: JsonSchema, childLevel: Level, at: string, changes: Partial<Context> = {}): void => {
    const inner = down(changes);
    checkStructure(child, childLevel, at, inner);
    context.nodes = inner.nodes;
  };
  if (extra !== undefined && extra !== false) {
    if (level === 'root') errors.push(forbidden(`${path}.additionalProperties`, 'must not be used at the root'));
    if (schema['x-kubernetes-embedded-resource'])
      errors.push(
        forbidden(`${path}.additionalProperties`, 'must not be used if x-kubernetes-embedded-resource is set'),
      );
  }
  if (extra !== undefined && schema.properties && (extra === false || typeof extra === 'object'))
    errors.push(forbidden(`${path}.additionalProperties`, 'additionalProperties and properties are mutual exclusive'));
  if (typeof extra === 'object') visit(extra, 'field', `${path}.additionalProperties`);
  if (schema.items && !Array.isArray(schema.items)) {
    const correlatable = schema['x-kubernetes-list-type'] === 'map';
    visit(
      schema.items,
      'item',
      `${path}.items`,
      correlatable ? {} : { uncorrelatable: context.uncorrelatable ?? path },
    );
  }
  const atomic = schema['x-kubernetes-map-type'] === 'atomic';
  for (const [key, child] of Object.entries(schema.properties ?? {})) {
    const isMeta = level === 'root' && (key === 'metadata' || key === 'kind' || key === 'apiVersion');
    visit(child, 'field', `${path}.properties[${key}]`, {
      ...(isMeta ? { noDefaults: `in top-level ${key}` } : {}),
      ...(atomic ? { uncorrelatable: context.uncorrelatable ?? path } : {}),
    });
  }
  for (const [key, branches] of combinations(schema))
    branches.forEach((branch, index) => {
      if (isIntOrStringPattern(schema, key)) return;
      const at = key === 'not' ? `${path}.not` : `${path}.${key}[${index}]`;
      checkNested(branch, at, errors, context.depth + 1, isIntOrStringBranch(schema, key, index));
    });
}

function combinations(schema: JsonSchema): ['allOf' | 'anyOf' | 'oneOf' | 'not', JsonSchema[]][] {
  return [
    ['allOf', schema.allOf ?? []],
    ['anyOf', schema.anyOf ?? []],
    ['oneOf', schema.oneOf ?? []],
    ['not', schema.not ? [schema.not] : []],
  ];
}

/** anyOf: [{type: integer}, {type: string}], which may say again what x-kubernetes-int-or-string says. */
function isIntOrStringAnyOf(branches: readonly JsonSchema[] | undefined): boolean {
  return JSON.stringify(branches) === '[{"type":"integer"},{"type":"string"}]';
}

function isIntOrStringPattern(schema: JsonSchema, key: string): boolean {
  return key === 'anyOf' && isIntOrStringAnyOf(schema.anyOf);
}

function isIntOrStringBranch(schema: JsonSchema, key: string, index: number): boolean {
  return key === 'allOf' && index === 0 && isIntOrStringAnyOf(schema.allOf?.[0]?.anyOf);
}

/** Inside allOf and its kin a schema may restrict values, and not describe them. */
function checkNested(schema: JsonSchema, path: string, errors: FieldError[], depth: number, skipAnyOf = false): void {
  if (depth > maxDepth) return;
  const refuse = (key: keyof JsonSchema, detail: string): void => {
    if (schema[key]) errors.push(forbidden(`${path}.${key}`, `${detail} to be structural`));
  };
  refuse('type', 'must be empty');
  refuse('additionalProperties', 'must be undefined');
  if (schema.default !== undefined) errors.push(forbidden(`${path}.default`, 'must be undefined to be structural'));
  refuse('title', 'must be empty');
  refuse('description', 'must be empty');
  refuse('nullable', 'must be false');
  refuse('x-kubernetes-preserve-unknown-fields', 'must be false');
  refuse('x-kubernetes-embedded-resource', 'must be false');
  refuse('x-kubernetes-int-or-string', 'must be false');
  refuse('x-kubernetes-list-map-keys', 'must be empty');
  refuse('x-kubernetes-list-type', 'must be undefined');
  refuse('x-kubernetes-map-type', 'must be undefined');
  refuse('x-kubernetes-validations', 'must be empty');
  if (schema.properties?.['metadata'])
    errors.push(forbidden(`${path}.properties[metadata]`, 'must not be specified in a nested context'));
  checkValueValidation(schema, path, errors);
  if (schema.items) checkNested(schema.items, `${path}.items`, errors, depth + 1);
  for (const [key, child] of Object.entries(schema.properties ?? {}))
    checkNested(child, `${path}.properties[${key}]`, errors, depth + 1);
  for (const [key, branches] of combinations(schema)) {
    if (skipAnyOf && key === 'anyOf') continue;
    branches.forEach((branch, index) =>
      checkNested(branch, key === 'not' ? `${path}.not` : `${path}.${key}[${index}]`, errors, depth + 1),
    );
  }
}

function checkValueValidation({ pattern }: JsonSchema, path: string, errors: FieldError[]): void {
  if (!pattern) return;
  try {
    compilePattern(pattern);
  } catch (error) {
    const detail = `must be a valid regular expression, but isn't: ${(error as Error).message}`;
    errors.push(invalid(`${path}.pattern`, pattern, detail));
  }
}

function checkListType(schema: JsonSchema, path: string, errors: FieldError[]): void {
  const { 'x-kubernetes-map-type': mapType, 'x-kubernetes-list-type': listType, type = '', items } = schema;
  const keys = schema['x-kubernetes-list-map-keys'] ?? [];
  const mustBe = (wanted: string, extension: string): void => {
    const detail = `must be ${wanted} if ${extension} is specified`;
    errors.push(type === '' ? required(`${path}.type`, detail) : invalid(`${path}.type`, type, detail));
  };
  if (mapType !== undefined && type !== 'object') mustBe('object', 'x-kubernetes-map-type');
  if (mapType !== undefined && mapType !== 'atomic' && mapType !== 'granular')
    errors.push(notSupported(`${path}.x-kubernetes-map-type`, mapType, ['atomic', 'granular']));
  if (listType !== undefined && type !== 'array') mustBe('array', 'x-kubernetes-list-type');
  else if (listType === 'set' && items?.type === 'object' && items['x-kubernetes-map-type'] !== 'atomic')
    errors.push(
      invalid(
        `${path}.items.x-kubernetes-map-type`,
        items['x-kubernetes-map-type'] ?? null,
        'must be atomic as item of a list with x-kubernetes-list-type=set',
      ),
    );
  if (listType !== undefined && !['atomic', 'set', 'map'].includes(listType))
    errors.push(notSupported(`${path}.x-kubernetes-list-type`, listType, ['atomic', 'set', 'map']));
  if (keys.length > 0 && listType !== 'map') {
    const detail = 'must be map if x-kubernetes-list-map-keys is non-empty';
    const at = `${path}.x-kubernetes-list-type`;
    errors.push(listType === undefined ? required(at, detail) : invalid(at, listType, detail));
  }
  if (listType === 'map') checkMapKeys(schema, keys, path, errors);
  if ((listType === 'map' || listType === 'set') && items?.nullable)
    errors.push(forbidden(`${path}.items.nullable`, `cannot be nullable when x-kubernetes-list-type is ${listType}`));
}

function checkMapKeys({ items }: JsonSchema, keys: readonly string[], path: string, errors: FieldError[]): void {
  const at = `${path}.x-kubernetes-list-map-keys`;
  if (keys.length === 0) errors.push(required(at, 'must not be empty if x-kubernetes-list-type is map'));
  if (!items) {
    errors.push(required(`${path}.items`, 'must have a schema if x-kubernetes-list-type is map'));
    return;
  }
  if (items.type !== 'object') {
    const detail = "must be object if parent array's x-kubernetes-list-type is map";
    errors.push(invalid(`${path}.items.type`, items.type ?? '', detail));
    return;
  }
  if (new Set(keys).size < keys.length) errors.push(invalid(at, keys, 'must not contain duplicate entries'));
  for (const key of keys) {
    const property = items.properties?.[key];
    const place = `${path}.items.properties[${key}]`;
    if (!property) {
      errors.push(invalid(at, keys, 'entries must all be names of item properties'));
      continue;
    }
    if (property.type === 'array' || property.type === 'object')
      errors.push(
        invalid(`${place}.type`, 'object', "must be a scalar type if parent array's x-kubernetes-list-type is map"),
      );
    if (!items.required?.includes(key) && property.default === undefined)
      errors.push(
        required(
          `${place}.default`,
          'this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property',
        ),
      );
    if (property.nullable)
      errors.push(
        forbidden(`${place}.nullable`, 'this property is in x-kubernetes-list-map-keys, so it cannot be nullable'),
      );
  }
}

function checkRuleTexts(rules: readonly ValidationRule[], path: string, errors: FieldError[]): void {
  for (const [index, rule] of rules.entries()) {
    const at = `${path}.x-kubernetes-validations[${index}]`;
    const message = rule.message?.trim() ?? '';
    if ((rule.rule ?? '').trim() === '') errors.push(required(`${at}.rule`, 'rule is not specified'));
    if (rule.message && message === '')
      errors.push(invalid(`${at}.message`, rule.message, 'message must be non-empty if specified'));
    else if (/[\n\r]/.test(message))
      errors.push(invalid(`${at}.message`, rule.message, 'must not contain line breaks'));
    else if (/[\n\r]/.test((rule.rule ?? '').trim()) && message === '')
      errors.push(required(`${at}.message`, 'message must be specified if rule contains line breaks'));
    if (rule.messageExpression && rule.messageExpression.trim() === '')
      errors.push(required(`${at}.messageExpression`, 'messageExpression must be non-empty if specified'));
    if (rule.reason !== undefined && !reasons.includes(rule.reason))
      errors.push(notSupported(`${at}.reason`, rule.reason, reasons));
    if (rule.fieldPath && !rule.fieldPath.trim())
      errors.push(invalid(`${at}.fieldPath`, rule.fieldPath, 'must be non-empty if specified'));
  }
}

/** Every field that allOf and its kin speak of must be described outside of them too. */
function checkCompleteness(nested: JsonSchema, described: JsonSchema, path: string, errors: FieldError[]): void {
  const compare = (schema: JsonSchema, owner: JsonSchema | undefined, at: string): void => {
    for (const [key, child] of Object.entries(schema.properties ?? {})) {
      const extra = owner?.additionalProperties;
      const known = owner?.properties?.[key] ?? (typeof extra === 'object' ? extra : undefined);
      const place = `${at}.properties[${key}]`;
      if (!known && !owner?.['x-kubernetes-preserve-unknown-fields'])
        errors.push(required(place, `because it is defined in ${place}`));
      else if (known) compare(child, known, place);
    }
    if (schema.items && owner?.items) compare(schema.items, owner.items, `${at}.items`);
    for (const [key, branches] of combinations(schema))
      branches.forEach((branch, index) => compare(branch, owner, `${at}.${key}[${index}]`));
  };
  compare(nested, described, path);
}

function checkDefaults(schema: Structural, path: string, errors: FieldError[]): void {
  if (!schema.hasDefaults) return;
  const { default: value } = schema.schema;
  if (value !== undefined) {
    const copy = structuredClone(value);
    applySchemaDefaults(copy, schema);
    if (typeof copy === 'object' && copy !== null && !Array.isArray(copy)) {
      const unknown = pruneObject(copy as Record<string, unknown>, schema);
      if (unknown.length > 0)
        errors.push(invalid(`${path}.default`, value, `must not have unknown fields: ${unknown.join(', ')}`));
    }
    for (const error of validateValue(copy, schema))
      errors.push({ ...error, field: `${path}.default${error.field === '<nil>' ? '' : `.${error.field}`}` });
  }
  for (const [key, child] of schema.properties) checkDefaults(child, `${path}.properties[${key}]`, errors);
  if (schema.items) checkDefaults(schema.items, `${path}.items`, errors);
  if (schema.additional && schema.additional !== true)
    checkDefaults(schema.additional, `${path}.additionalProperties`, errors);
}

function checkRules(root: Structural, path: string, errors: FieldError[]): void {
  const validator = ruleValidator(root);
  const walk = (schema: Structural, at: string, uncorrelatable: string | undefined): void => {
    if (!schema.hasRules) return;
    for (const [index, compiled] of validator.rulesOf(schema).entries()) {
      const place = `${at}.x-kubernetes-validations[${index}]`;
      const { rule, error, messageError, expression } = compiled;
      if (error !== undefined)
        errors.push(
          error.startsWith('estimated') ? forbidden(`${place}.rule`, error) : invalid(`${place}.rule`, rule, error),
        );
      if (messageError !== undefined) errors.push(invalid(`${place}.messageExpression`, rule, messageError));
      if (expression?.usesOldSelf && uncorrelatable !== undefined)
        errors.push(
          invalid(
            `${place}.rule`,
            rule.rule,
            `oldSelf cannot be used on the uncorrelatable portion of the schema within ${uncorrelatable}`,
          ),
        );
      if (expression && !expression.usesOldSelf && rule.optionalOldSelf !== undefined)
        errors.push(
          invalid(`${place}.optionalOldSelf`, rule.optionalOldSelf, 'may not be set if oldSelf is not used in rule'),
        );
    }
    const atomic = schema.schema['x-kubernetes-map-type'] === 'atomic' ? (uncorrelatable ?? at) : uncorrelatable;
    for (const [key, child] of schema.properties) walk(child, `${at}.properties[${key}]`, atomic);
    if (schema.items) {
      const isMap = schema.schema['x-kubernetes-list-type'] === 'map';
      walk(schema.items, `${at}.items`, isMap ? uncorrelatable : (uncorrelatable ?? at));
    }
    if (schema.additional && schema.additional !== true) walk(schema.additional, `${at}.additionalProperties`, atomic);
  };
  walk(root, path, undefined);
}
