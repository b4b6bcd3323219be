import { StatusError } from '@naru/foundation';
import { goKind, goSyntax, goText } from '../go-text';
import type { TypeSchema, ValueSchema } from '../schema/types';
import { fieldType, isJsonObject, leafType, typeOf, type MergeType } from './merge-type';
import { fieldElement, itemElement, printElement, printPath } from './path-element';

/** Nobody reads more. */
const maxErrors = 100;
const dynamicTypes: Partial<Record<string, string>> = { slice: '[]interface {}', map: 'map[string]interface {}' };

/**
 * What the configuration of a server-side apply has of a wrong type, or twice in a list whose elements have keys, in the
 * words of upstream: `.spec.replicas: expected numeric (int or float), got string`. `schema` and `type` are of one kind.
 * Source: structured-merge-diff typed/validate.go.
 */
export function typeErrors(schema: TypeSchema, type: MergeType, config: unknown): string[] {
  const errors: string[] = [];
  check({ code: '#', type: schema }, type, config, [], (path, problem) => {
    if (errors.length < maxErrors) errors.push(`${printPath(path)}: ${problem}`);
  });
  return errors;
}

/** 500 as upstream: `what` is "NAMESPACE/NAME; GV, Kind=KIND". */
export function notTyped(what: string, problems: readonly string[]): StatusError {
  const all = problems.length === 1 ? problems[0] : ['errors:', ...problems.map(problem => `  ${problem}`)].join('\n');
  return new StatusError('InternalError', `failed to create typed patch object (${what}): ${all}`);
}

/** Path elements of where it is; the list changes as the search goes on. */
type Report = (path: readonly string[], problem: string) => void;

function check(schema: ValueSchema, type: MergeType, value: unknown, path: string[], report: Report): void {
  if (value === null || value === undefined || schema.code === '*') return;
  switch (schema.code) {
    case '#':
    case '{':
      if (!isJsonObject(value)) return report(path, `expected map, got &{${goText(value)}}`);
      for (const [key, item] of Object.entries(value)) {
        const of = schema.code === '{' ? schema.of : schema.type?.fields.get(key)?.value;
        const itemType = type.kind === 'object' ? fieldType(type, key) : leafType;
        if (!of) continue;
        path.push(fieldElement(key));
        check(of, itemType, item, path, report);
        path.pop();
      }
      return;
    case '[':
      if (!Array.isArray(value)) return report(path, `expected list, got &{${goText(value)}}`);
      return checkItems(schema.of!, type, value, path, report);
    default: {
      const problem = scalarProblem(schema, value);
      if (problem) report(path, problem);
    }
  }
}

function checkItems(of: ValueSchema, declared: MergeType, items: unknown[], path: string[], report: Report): void {
  const type = typeOf(declared, items);
  const seen = new Set<string>();
  items.forEach((item, index) => {
    const element = type.kind === 'list' ? itemElement(type, item) : undefined;
    if (element !== undefined) {
      if (seen.has(element)) report(path, `duplicate entries for key ${printElement(element)}`);
      seen.add(element);
    }
    path.push(element ?? `i:${index}`);
    check(of, type.kind === 'list' ? type.element : leafType, item, path, report);
    path.pop();
  });
}

function scalarProblem({ code }: ValueSchema, value: unknown): string | undefined {
  const kind = goKind(value);
  switch (code) {
    case 's':
    case 'y':
      return kind === 'string' ? undefined : `expected string, got &value.valueUnstructured{Value:${goSyntax(value)}}`;
    case 'b':
      return kind === 'bool' ? undefined : `expected boolean, got &{${goText(value)}}`;
    case 'i':
    case 'l':
    case 'd':
      return typeof value === 'number'
        ? undefined
        : `expected numeric (int or float), got ${dynamicTypes[kind] ?? kind}`;
    default:
      return typeof value === 'object' ? `expected any scalar, got &{${goText(value)}}` : undefined;
  }
}
