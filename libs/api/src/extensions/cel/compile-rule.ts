import { Optional, type ASTNode, type Environment } from '@marcbachmann/cel-js';
import type { Structural } from '../structural';
import type { ValidationRule } from '../types';
import { findProblem } from './compiler-problem';
import { childrenOf, type RuleCost } from './cost';
import { kubernetesEnvironment } from './library';
import { compileProgram, type Program } from './program';
import type { RuleTypes } from './rule-types';

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

export function compileRule(rule: ValidationRule, schema: Structural, types: RuleTypes): CompiledRule {
  const compiled: CompiledRule = { rule };
  const oldSelf = rule.optionalOldSelf ? 'optional<dyn>' : 'dyn';
  const target = { schema, types, oldSelf } as const;
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
  { schema, types, oldSelf }: { schema: Structural; types: RuleTypes; oldSelf: OldSelf },
  type: string,
  wrongType: string,
): CompiledExpression {
  const program = compileProgram(text, environmentOf(oldSelf), { types: [type], problem: wrongType });
  const problem = findProblem(types.environmentOf(schema, oldSelf !== 'dyn'), text);
  if (problem?.certain) throw new Error(`compilation failed: ${problem.told}`);
  return { evaluate: program.evaluate, cost: program.cost, usesOldSelf: mentions(program.ast, 'oldSelf') };
}

function mentions(node: ASTNode, name: string): boolean {
  return (node.op === 'id' && node.args === name) || childrenOf(node).some(child => mentions(child, name));
}
