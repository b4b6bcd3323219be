import type { ASTNode, Environment, ParseError } from '@marcbachmann/cel-js';
import { childrenOf } from './cost';
import { withBoundOperands } from './has-operands';

type EngineError = ParseError & { node?: ASTNode };

export interface Problem {
  /** What cel-go's compiler prints, with the line that it is about. */
  told: string;
  /** cel-go finds it too, for certain: its checker knows more overloads than the engine's. */
  certain: boolean;
}

/** The first mistake of an expression. The operands of has() count, which the engine does not check. */
export function findProblem(environment: Environment, text: string): Problem | undefined {
  const expression = readable(environment, text);
  const { valid, error } = environment.check(expression);
  if (valid) return missingField(environment, expression);
  const problem = error as EngineError;
  return { told: told(expression, problem), certain: isCertain(problem) };
}

/** As the engine can check it. */
function readable(environment: Environment, text: string): string {
  try {
    return withBoundOperands(text, environment.parse(text).ast) ?? text;
  } catch {
    // That it cannot be read is the mistake.
    return text;
  }
}

function missingField(environment: Environment, expression: string): Problem | undefined {
  let found: Problem | undefined;
  const walk = (node: ASTNode): void => {
    if (found !== undefined) return;
    const [operand] = node.op === 'call' && node.args[0] === 'has' ? childrenOf(node) : [];
    const { error } = operand ? environment.check(expression.slice(operand.start, operand.end)) : {};
    const problem = error as EngineError | undefined;
    // A macro's mistakes are where its bracket opens.
    if (problem?.code === 'no_such_key')
      found = { told: told(expression, problem, expression.indexOf('(', node.start)), certain: true };
    childrenOf(node).forEach(walk);
  };
  walk(environment.parse(expression).ast);
  return found;
}

const plain = new Set(['int', 'string', 'bool', 'bytes']);

function isCertain({ code, summary = '' }: EngineError): boolean {
  if (code === 'no_such_key') return true;
  const [, left, right] = /^no such overload: (\S+) \S+ (\S+)$/.exec(summary) ?? [];
  return left !== right && plain.has(left ?? '') && plain.has(right ?? '');
}

const shortNames: Record<string, string> = {
  'google.protobuf.Timestamp': 'timestamp',
  'google.protobuf.Duration': 'duration',
  null: 'null_type',
};

function typeNames(text: string): string {
  return text.replace(/[\w.]+/g, name => shortNames[name] ?? name);
}

/** The words of cel-go's compiler. */
function wordsOf({ summary = '', message }: EngineError): string {
  const text = summary || message.split('\n', 1)[0]!;
  let match = /^No such key: (.*)$/.exec(text);
  if (match) return `undefined field '${match[1]}'`;
  match = /^Unknown variable: (.*)$/.exec(text);
  if (match) return `undeclared reference to '${match[1]}' (in container '')`;
  match = /^no such overload: (.+) (\S+) (.+)$/.exec(text);
  if (match)
    return `found no matching overload for '_${match[2]}_' applied to '(${typeNames(`${match[1]}, ${match[3]}`)})'`;
  match = /^found no matching overload for '(?:(.+)\.)?(\w+)\((.*)\)'$/.exec(text);
  if (match) {
    const target = match[1] === undefined ? '' : `${typeNames(match[1])}.`;
    return `found no matching overload for '${match[2]}' applied to '${target}(${typeNames(match[3] ?? '')})'`;
  }
  match = /^Unexpected token:? ?(.*)$/.exec(text);
  return match ? `Syntax error: mismatched input '${match[1] === 'EOF' ? '<EOF>' : match[1]}'` : text;
}

/** Where cel-go says that a mistake is: at the dot of a field, the operator, the opening bracket of a call. */
function positionOf(expression: string, { node, range, code }: EngineError): number {
  const start = range?.start ?? 0;
  if (node?.op === 'call') return expression.indexOf('(', node.start);
  if (code === 'no_such_key' && expression[start - 1] === '.') return start - 1;
  if (!node) return start;
  const [left, right] = childrenOf(node);
  if (node.op === 'rcall' && left) return expression.indexOf('(', left.end);
  if (left && right) {
    const operator = expression.indexOf(node.op, left.end);
    if (operator >= 0 && operator < right.start) return operator;
  }
  return start;
}

function told(expression: string, problem: EngineError, at = positionOf(expression, problem)): string {
  const lineStart = expression.lastIndexOf('\n', at - 1) + 1;
  const line = expression.slice(0, at).split('\n').length;
  const text = expression.slice(lineStart).split('\n', 1)[0]!;
  const column = at - lineStart;
  return `ERROR: <input>:${line}:${column + 1}: ${wordsOf(problem)}\n | ${text}\n | ${'.'.repeat(column)}^`;
}
