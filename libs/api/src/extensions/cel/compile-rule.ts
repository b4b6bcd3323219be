import { Optional, type ASTNode, type Environment } from '@marcbachmann/cel-js';
import type { Structural } from '../structural';
import type { ValidationRule } from '../types';
import { childrenOf, type RuleCost } from './cost';
import { kubernetesEnvironment } from './library';
import { compileProgram, type Program } from './program';
import { escapeProperty } from './values';

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

function environmentOf(oldSelf: OldSelf): Environment {
  let environment = environments.get(oldSelf);
  if (!environment) {
    environment = kubernetesEnvironment().registerVariable('self', 'dyn').registerVariable('oldSelf', oldSelf);
    environments.set(oldSelf, environment);
  }
  return environment;
}

let duration: Program | undefined;

export function durationOf(text: string): unknown {
  duration ??= compileProgram('duration(self)', environmentOf('dyn'));
  return duration.evaluate({ self: text });
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
  const program = compileProgram(text, environmentOf(oldSelf), { types: [type], problem: wrongType });
  const unknown = undefinedField(program.ast, schema, isRoot);
  if (unknown)
    throw new Error(`compilation failed: ERROR: <input>:1:${unknown.position}: undefined field '${unknown.name}'`);
  return { evaluate: program.evaluate, cost: program.cost, usesOldSelf: mentions(program.ast, 'oldSelf') };
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
