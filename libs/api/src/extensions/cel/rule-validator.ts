import { deepEqual } from '../../deep-equal';
import { forbidden, invalid, required, type FieldError } from '../../validation/field-error';
import type { Structural } from '../structural';
import type { ValidationRule } from '../types';
import { correlate } from '../validate-value';
import { budgetFor, OutOfBudget, runWithinBudget, type Budget } from './budget';
import { compileRule, durationOf, optionalOf, type CompiledExpression, type CompiledRule } from './compile-rule';
import { RuleTypes } from './rule-types';
import { toCel, type ValueFactory } from './values';

const values: ValueFactory = { duration: durationOf };
const maxMessageBytes = 5 * 1024;

interface Place {
  value: unknown;
  /** Undefined: there is none to compare with. */
  old: unknown;
  path: string;
}

/** Runs the x-kubernetes-validations of a schema. Source: apiextensions-apiserver schema/cel. */
export class RuleValidator {
  private readonly compiled = new Map<Structural, readonly CompiledRule[]>();

  /** Compiles every rule of the schema. */
  constructor(private readonly root: Structural) {
    if (root.hasRules) this.compile(root, new RuleTypes(root));
  }

  /** What is wrong with an object that its schema has accepted. */
  validate(value: unknown, old: unknown): FieldError[] {
    const errors: FieldError[] = [];
    if (!this.root.hasRules) return errors;
    this.walk(this.root, { value, old, path: '' }, budgetFor(value, old), errors);
    return errors;
  }

  /** The rules of one schema node, compiled. */
  rulesOf(schema: Structural): readonly CompiledRule[] {
    return this.compiled.get(schema) ?? [];
  }

  private compile(schema: Structural, types: RuleTypes): void {
    if (!schema.hasRules) return;
    if (schema.rules.length > 0)
      this.compiled.set(
        schema,
        schema.rules.map(rule => compileRule(rule, schema, types)),
      );
    for (const child of schema.properties.values()) this.compile(child, types);
    if (schema.items) this.compile(schema.items, types);
    if (schema.additional && schema.additional !== true) this.compile(schema.additional, types);
  }

  private walk(schema: Structural, place: Place, budget: Budget, errors: FieldError[]): void {
    const { value, old, path } = place;
    if (!schema.hasRules || value === null || value === undefined || budget.steps < 0) return;
    this.runRules(schema, place, budget, errors);
    if (Array.isArray(value)) {
      const { items } = schema;
      if (!items?.hasRules) return;
      const earlier = Array.isArray(old) ? correlate(schema, old) : undefined;
      for (let i = 0; i < value.length && budget.steps >= 0; i++)
        this.walk(items, { value: value[i], old: earlier?.(value[i]), path: `${path}[${i}]` }, budget, errors);
    } else if (typeof value === 'object') {
      const before = typeof old === 'object' && old !== null ? (old as Record<string, unknown>) : undefined;
      for (const [key, item] of Object.entries(value)) {
        const named = schema.properties.get(key);
        const child = named ?? (schema.additional === true ? undefined : schema.additional);
        if (!child?.hasRules) continue;
        const step = named ? (path === '' ? key : `.${key}`) : `[${key}]`;
        this.walk(child, { value: item, old: before?.[key], path: path + step }, budget, errors);
      }
    }
  }

  private runRules(schema: Structural, { value, old, path }: Place, budget: Budget, errors: FieldError[]): void {
    const rules = this.rulesOf(schema);
    if (rules.length === 0) return;
    const isRoot = schema === this.root;
    const self = toCel(value, schema, values, isRoot);
    const oldSelf = old === undefined || old === null ? undefined : toCel(old, schema, values, isRoot);
    const type = schema.schema.type ?? '';
    const field = path === '' ? '<nil>' : path;
    for (const { rule, expression, message, error } of rules) {
      if (error !== undefined || !expression) {
        errors.push(invalid(field, type, `rule compile error: ${error ?? ''}`));
        continue;
      }
      if (expression.usesOldSelf && oldSelf === undefined && !rule.optionalOldSelf) continue;
      const context = { self, oldSelf: rule.optionalOldSelf ? optionalOf(oldSelf) : oldSelf };
      let result: unknown;
      try {
        result = runWithinBudget(expression, context, budget);
      } catch (cause) {
        errors.push(evaluationError(field, type, rule, cause as Error));
        if (budget.steps < 0) return;
        continue;
      }
      if (result === true) continue;
      // What was as wrong before may stay, unless the rule is about the change.
      if (!expression.usesOldSelf && old !== undefined && deepEqual(value, old)) continue;
      errors.push(failure(rule, path, value, type, describe(rule, message, context, budget)));
    }
  }
}

function evaluationError(field: string, type: string, rule: ValidationRule, error: Error): FieldError {
  if (error instanceof OutOfBudget) return invalid(field, type, error.message);
  const summary = ((error as { summary?: string }).summary ?? error.message).replace(/^No such key/, 'no such key');
  if (/no matching overload/.test(summary) || summary.startsWith('no such overload'))
    return invalid(
      field,
      type,
      `'no such overload': call arguments did not match a supported operator, function or macro signature for rule: ${nameOf(rule)}`,
    );
  return invalid(field, type, `${summary} evaluating rule: ${nameOf(rule)}`);
}

function nameOf({ message, rule }: ValidationRule): string {
  return message?.trim() || rule.trim();
}

function describe(
  rule: ValidationRule,
  message: CompiledExpression | undefined,
  context: { self: unknown; oldSelf: unknown },
  budget: Budget,
): string {
  if (message) {
    try {
      const text = runWithinBudget(message, context, budget);
      if (typeof text === 'string') {
        const trimmed = text.trim();
        if (trimmed !== '' && trimmed.length <= maxMessageBytes && !trimmed.includes('\n')) return trimmed;
      }
    } catch {
      // The rule's own message is as good.
    }
  }
  return rule.message?.trim() || `failed rule: ${rule.rule.trim()}`;
}

function failure(rule: ValidationRule, path: string, value: unknown, type: string, detail: string): FieldError {
  const extra = rule.fieldPath?.trim().replace(/\[['"]([^'"]*)['"]\]/g, '[$1]') ?? '';
  const joined = path === '' ? extra.replace(/^\./, '') : path + extra;
  const field = joined === '' ? '<nil>' : joined;
  switch (rule.reason) {
    case 'FieldValueForbidden':
      return forbidden(field, detail);
    case 'FieldValueRequired':
      return required(field, detail);
    default: {
      const isDuplicate = rule.reason === 'FieldValueDuplicate';
      const hasNoShortForm = type === 'object' || type === 'array';
      return {
        ...invalid(field, value, detail),
        type: isDuplicate ? 'FieldValueDuplicate' : 'FieldValueInvalid',
        ...(hasNoShortForm ? { omitValue: true as const } : {}),
      };
    }
  }
}
