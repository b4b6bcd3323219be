import { StatusError } from '@naru/foundation';
import type { KubeObject } from '../types';

export interface FieldRequirement {
  field: string;
  operator: '=' | '!=';
  value: string;
}

export interface FieldSelector {
  readonly requirements: readonly FieldRequirement[];
  readonly empty: boolean;
  /** Over the fields that `definition.selectableFields` gives. */
  matchesFields(fields: Readonly<Record<string, string>>): boolean;
  matches(o: KubeObject): boolean;
  /** The value that `field` must equal, if the selector says so: to answer from an index or by a direct read. */
  requiresExactly(field: string): string | undefined;
  toString(): string;
}

/** The part of a definition that field selectors need. */
export interface FieldSource {
  selectableFields(o: KubeObject): Record<string, string>;
  selectableFieldNames: readonly string[];
}

const maxRequirements = 100;

/**
 * Parses `spec.nodeName=a,status.phase!=Running`; `\,`, `\=` and `\\` escape.
 * @throws StatusError BadRequest for wrong syntax or a field that the kind does not support
 */
export function parseFieldSelector(text: string, source: FieldSource): FieldSelector {
  const requirements = splitTerms(text).map(term => parseTerm(term, text));
  if (requirements.length > maxRequirements)
    throw new StatusError('BadRequest', `invalid field selector: more than ${maxRequirements} terms`);
  for (const { field } of requirements) {
    if (!source.selectableFieldNames.includes(field))
      throw new StatusError('BadRequest', `field label not supported: ${field}`);
  }
  const matchesFields: FieldSelector['matchesFields'] = fields =>
    requirements.every(({ field, operator, value }) => ((fields[field] ?? '') === value) === (operator === '='));
  return {
    requirements,
    empty: requirements.length === 0,
    matchesFields,
    matches: o => requirements.length === 0 || matchesFields(source.selectableFields(o)),
    requiresExactly: field => requirements.find(r => r.field === field && r.operator === '=')?.value,
    toString: () => requirements.map(r => `${r.field}${r.operator}${escape(r.value)}`).join(','),
  };
}

function splitTerms(text: string): string[] {
  const terms: string[] = [];
  let start = 0;
  for (let i = 0; i < text.length; i++) {
    if (text[i] === '\\') i++;
    else if (text[i] === ',') {
      terms.push(text.slice(start, i));
      start = i + 1;
    }
  }
  terms.push(text.slice(start));
  return terms.filter(term => term !== '');
}

function parseTerm(term: string, whole: string): FieldRequirement {
  const match = /^([^=!\\]*)(!=|==|=)(.*)$/s.exec(term);
  if (!match) throw new StatusError('BadRequest', `invalid selector: '${whole}'; can't understand '${term}'`);
  const [, field = '', operator, value = ''] = match;
  return { field: field.trim(), operator: operator === '!=' ? '!=' : '=', value: unescape(value) };
}

function unescape(value: string): string {
  return value.replace(/\\(.?)/gs, (_, escaped: string) => {
    if (escaped === ',' || escaped === '=' || escaped === '\\') return escaped;
    throw new StatusError('BadRequest', `invalid field selector: invalid escape sequence: \\${escaped}`);
  });
}

function escape(value: string): string {
  return value.replace(/[\\,=]/g, '\\$&');
}
