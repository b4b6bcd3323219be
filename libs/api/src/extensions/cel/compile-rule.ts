import { Optional, ParseError, type ASTNode, type Environment, type ParseResult } from '@marcbachmann/cel-js';
import type { Structural } from '../structural';
import type { ValidationRule } from '../types';
import { childrenOf, costOf, type RuleCost } from './cost';
import { kubernetesEnvironment } from './library';
import { escapeProperty } from './values';

const maxRuleLength = 16 * 1024;

export interface CompiledExpression {
  evaluate(context: { self: unknown; oldSelf: unknown }): unknown;
  cost: RuleCost;
  usesOldSelf: boolean;
}

export interface CompiledRule {
  rule: ValidationRule;
  expression?: CompiledExpression;
  message?: CompiledExpression;
  /** What upstream's compiler says. */
  error?: string;
  messageError?: string;
}

const environments = new Map<OldSelf, Environment>();
/** With `optionalOldSelf` a rule runs also when there is no old value. */
type OldSelf = 'dyn' | 'optional<dyn>';
const programs = new Map<string, ParseResult | Error>();
/** Parsed rules that are kept: many CRDs repeat theirs over versions. */
const maxPrograms = 2000;

function parse(text: string, oldSelf: OldSelf = 'dyn'): ParseResult {
  const key = `${oldSelf} ${text}`;
  let program = programs.get(key);
  if (!program) {
    let environment = environments.get(oldSelf);
    if (!environment) environments.set(oldSelf, (environment = kubernetesEnvironment(oldSelf)));
    try {
      program = environment.parse(text);
    } catch (error) {
      program = error as Error;
    }
    if (programs.size >= maxPrograms) programs.delete(programs.keys().next().value as string);
    programs.set(key, program);
  }
  if (program instanceof Error) throw program;
  return program;
}

export function durationOf(text: string): unknown {
  return parse('duration(self)')({ self: text });
}

export function optionalOf(value: unknown): unknown {
  return value === null || value === undefined ? Optional.none() : Optional.of(value);
}

export function compileRule(rule: ValidationRule, schema: Structural, isRoot: boolean): CompiledRule {
  const compiled: CompiledRule = { rule };
  const oldSelf = rule.optionalOldSelf ? 'optional<dyn>' : 'dyn';
  const target = { schema, isRoot, oldSelf } as const;
  try {
    compiled.expression = compile(rule.rule, target, 'bool', 'cel expression must evaluate to a bool');
  } catch (error) {
    compiled.error = (error as Error).message;
  }
  if (!rule.messageExpression) return compiled;
  try {
    compiled.message = compile(rule.messageExpression, target, 'string', 'messageExpression must evaluate to a string');
  } catch (error) {
    compiled.messageError = `messageExpression compilation failed: ${(error as Error).message}`;
  }
  return compiled;
}

function compile(
  text: string,
  { schema, isRoot, oldSelf }: { schema: Structural; isRoot: boolean; oldSelf: OldSelf },
  type: string,
  wrongType: string,
): CompiledExpression {
  if (text.length > maxRuleLength) throw new Error(`is longer than ${maxRuleLength} characters`);
  let program: ParseResult;
  try {
    program = parse(text, oldSelf);
  } catch (error) {
    throw compilationFailed(text, error as Error);
  }
  const result = program.check();
  if (!result.valid) throw compilationFailed(text, result.error as Error);
  if (result.type !== type && result.type !== 'dyn') throw new Error(wrongType);
  const unknown = undefinedField(program.ast, schema, isRoot);
  if (unknown)
    throw new Error(`compilation failed: ERROR: <input>:1:${unknown.position}: undefined field '${unknown.name}'`);
  return {
    evaluate: context => program(context) as unknown,
    cost: costOf(program.ast),
    usesOldSelf: mentions(program.ast, 'oldSelf'),
  };
}

function compilationFailed(text: string, error: Error): Error {
  const { summary, range } = error as ParseError;
  const at = range?.start ?? 0;
  const line = text.slice(0, at).split('\n').length;
  const column = at - text.lastIndexOf('\n', at - 1);
  const problem = (summary ?? error.message)
    .replace(/^Unknown variable: (.*)$/, "undeclared reference to '$1' (in container '')")
    .replace(/^Unexpected token:? ?(.*)$/, "Syntax error: mismatched input '$1'");
  return new Error(`compilation failed: ERROR: <input>:${line}:${Math.max(1, column)}: ${problem}`, { cause: error });
}

function mentions(node: ASTNode, name: string): boolean {
  return (node.op === 'id' && node.args === name) || childrenOf(node).some(child => mentions(child, name));
}

/** The first field of `self` or `oldSelf` that the schema does not know. */
function undefinedField(
  node: ASTNode,
  schema: Structural,
  isRoot: boolean,
): { name: string; position: number } | undefined {
  let found: { name: string; position: number } | undefined;
  /** The schema of an expression, where it is known. */
  const schemaOf = (at: ASTNode): Structural | undefined => {
    if (at.op === 'id') return at.args === 'self' ? schema : undefined;
    if (at.op !== '.') return undefined;
    const [object, name] = at.args;
    const owner = schemaOf(object);
    if (!owner || owner.schema.type !== 'object') return undefined;
    const isMeta = (owner.embedded || (isRoot && owner === schema)) && metaFields.has(name);
    if (isMeta || owner.properties.size === 0) return additionalOf(owner);
    for (const [key, child] of owner.properties) if (escapeProperty(key) === name) return child;
    if (owner.additional === undefined) found ??= { name, position: at.start + 1 };
    return undefined;
  };
  const walk = (at: ASTNode): void => {
    if (found) return;
    if (at.op === '.') schemaOf(at);
    for (const child of childrenOf(at)) walk(child);
  };
  walk(node);
  return found;
}

const metaFields = new Set(['apiVersion', 'kind', 'metadata']);

function additionalOf({ additional }: Structural): Structural | undefined {
  return additional === true ? undefined : additional;
}
