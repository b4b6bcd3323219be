import { StatusError } from '@naru/foundation';
import type { Labels } from '../label-selector';
import type { LabelSelector } from '../types';
import { labelValueProblem, qualifiedNameProblem } from '../validation/names';
import { isInteger, nothing, selectorOf, type Operator, type Requirement, type Selector } from './requirement';

export type { Operator, Requirement, Selector } from './requirement';

const everything = selectorOf([]);
const maxRequirements = 1000;
const cacheLimit = 512;
const cache = new Map<string, Selector>();

/**
 * Parses `app=web,tier in (a,b),!gone,x!=y,n>3`. Selectors are immutable; the most used are kept.
 * @throws StatusError BadRequest in upstream's words: "unable to parse requirement: ..."
 */
export function parseLabelSelector(text: string): Selector {
  if (text.trim() === '') return everything;
  const known = cache.get(text);
  if (known) return known;
  const selector = selectorOf(new Parser(text).parse());
  if (cache.size >= cacheLimit) cache.clear();
  cache.set(text, selector);
  return selector;
}

const operators: Record<string, Operator> = {
  In: 'In',
  NotIn: 'NotIn',
  Exists: 'Exists',
  DoesNotExist: 'DoesNotExist',
};

/** A LabelSelector object: an absent one selects nothing, {} everything. @throws StatusError BadRequest */
export function labelSelectorOf(selector: LabelSelector | undefined | null): Selector {
  if (!selector) return nothing;
  const requirements: Requirement[] = Object.entries(selector.matchLabels ?? {}).map(([key, value]) => ({
    key,
    operator: 'In',
    values: [value],
  }));
  for (const { key, operator, values = [] } of selector.matchExpressions ?? []) {
    const known = operators[operator];
    if (!known)
      throw new StatusError('BadRequest', `${JSON.stringify(operator)} is not a valid label selector operator`);
    requirements.push({ key, operator: known, values });
  }
  return requirements.length === 0 ? everything : selectorOf(requirements);
}

/** A plain map (Service or ReplicationController selector, nodeSelector): all must be equal. {} matches everything. */
export function selectorFromMap(map: NonNullable<Labels>): Selector {
  return selectorOf(Object.entries(map).map(([key, value]) => ({ key, operator: 'In', values: [value ?? ''] })));
}

const token = /\s*(==|!=|=|!|>|<|\(|\)|,|[^\s=!,()<>]+|$)/y;
const special = new Set(['==', '!=', '=', '!', '>', '<', '(', ')', ',', '']);

/** Upstream's grammar of labels.Parse. */
class Parser {
  readonly #tokens: string[] = [];
  #at = 0;

  constructor(text: string) {
    token.lastIndex = 0;
    for (;;) {
      const found = token.exec(text)?.[1] ?? '';
      this.#tokens.push(found);
      if (found === '') break;
    }
  }

  parse(): Requirement[] {
    const requirements: Requirement[] = [];
    for (;;) {
      requirements.push(this.#requirement());
      if (requirements.length > maxRequirements) fail(`more than ${maxRequirements} requirements`);
      const next = this.#take();
      if (next === '') return requirements;
      if (next !== ',') fail(`found '${next}', expected: ',' or 'end of string'`);
      if (this.#peek() === '' || this.#peek() === ',') fail(`found '${this.#peek()}', expected: identifier after ','`);
    }
  }

  #peek(): string {
    return this.#tokens[this.#at] ?? '';
  }

  #take(): string {
    return this.#tokens[this.#at++] ?? '';
  }

  #requirement(): Requirement {
    const negated = this.#peek() === '!';
    if (negated) this.#at++;
    const key = this.#take();
    if (special.has(key)) fail(`found '${key}', expected: !, identifier, or 'end of string'`);
    const problem = qualifiedNameProblem(key);
    if (problem) fail(`<nil>: Invalid value: ${JSON.stringify(key)}: ${problem}`);
    if (negated) return { key, operator: 'DoesNotExist', values: [] };
    if (this.#peek() === '' || this.#peek() === ',') return { key, operator: 'Exists', values: [] };
    return this.#comparison(key);
  }

  #comparison(key: string): Requirement {
    const operator = this.#take();
    switch (operator) {
      case '=':
      case '==':
        return { key, operator: 'In', values: [this.#value(key)] };
      case '!=':
        return { key, operator: 'NotIn', values: [this.#value(key)] };
      case '>':
      case '<': {
        const value = this.#value(key);
        if (!isInteger(value)) fail(`for 'Gt', 'Lt' operators, the value must be an integer`);
        return { key, operator: operator === '>' ? 'Gt' : 'Lt', values: [value] };
      }
      case 'in':
        return { key, operator: 'In', values: this.#values(key) };
      case 'notin':
        return { key, operator: 'NotIn', values: this.#values(key) };
      default:
        return fail(`found '${operator}', expected: in, notin, =, ==, !=, gt, lt`);
    }
  }

  /** An empty value is allowed: "a=". */
  #value(key: string): string {
    const next = this.#peek();
    if (next === '' || next === ',') return '';
    if (special.has(next)) fail(`found '${next}', expected: identifier`);
    this.#at++;
    return checkValue(key, next);
  }

  #values(key: string): string[] {
    if (this.#take() !== '(') fail(`found '${this.#tokens[this.#at - 1]}', expected: '('`);
    const values: string[] = [];
    for (;;) {
      const next = this.#take();
      if (next === ')' || next === ',') values.push('');
      else if (special.has(next)) fail(`found '${next}', expected: ',', ')' or identifier`);
      else values.push(checkValue(key, next));
      if (next === ')') return [...new Set(values)];
      if (next === ',') continue;
      const after = this.#take();
      if (after === ')') return [...new Set(values)];
      if (after !== ',') fail(`found '${after}', expected: ',' or ')'`);
    }
  }
}

function checkValue(key: string, value: string): string {
  const problem = labelValueProblem(value);
  if (problem) fail(`values[0][${key}]: Invalid value: ${JSON.stringify(value)}: ${problem}`);
  return value;
}

function fail(detail: string): never {
  throw new StatusError('BadRequest', `unable to parse requirement: ${detail}`);
}
