import type { ASTNode, Environment, ParseError, ParseResult } from '@marcbachmann/cel-js';
import { BoundedMap } from '@naru/foundation';
import { maxPatternDepth, nesting } from '../structural';
import { costOf, type RuleCost } from './cost';
import { withBoundOperands } from './has-operands';

const maxExpressionLength = 16 * 1024;
/** Parsed expressions that are kept: many are repeated over versions and policies. */
const maxPrograms = 2000;

/** An expression that was checked, ready to run. */
export interface Program {
  evaluate(context: object): unknown;
  ast: ASTNode;
  /** As CEL names it: "bool", "list<string>", "dyn". */
  type: string;
  cost: RuleCost;
}

/** What an expression must give: one of `types` (or what only running tells), else the compiler says `problem`. */
export interface Expected {
  types: readonly string[];
  problem: string;
}

/** Runs and checks with what the engine does not know put otherwise; `ast` is that of the author's text. */
interface Parsed {
  program: ParseResult;
  ast: ASTNode;
}

const programs = new WeakMap<Environment, Map<string, Parsed | Error>>();

function parseBound(text: string, environment: Environment): Parsed {
  const program = environment.parse(text);
  const { ast } = program;
  const bound = withBoundOperands(text, ast);
  return { ast, program: bound === undefined ? program : environment.parse(bound) };
}

function parse(text: string, environment: Environment): Parsed {
  let known = programs.get(environment);
  if (!known) programs.set(environment, (known = new BoundedMap(maxPrograms)));
  let program = known.get(text);
  if (!program) {
    try {
      program = parseBound(text, environment);
    } catch (error) {
      program = error as Error;
    }
    known.set(text, program);
  }
  if (program instanceof Error) throw program;
  return program;
}

/** @throws Error with what upstream's compiler says, "compilation failed: ..." */
export function compileProgram(text: string, environment: Environment, expected?: Expected): Program {
  if (text.length > maxExpressionLength) throw new Error(`is longer than ${maxExpressionLength} characters`);
  // Patterns in it are compiled where they are used: they must not be too much for V8 either.
  if (nesting(text) > maxPatternDepth)
    throw new Error('compilation failed: ERROR: <input>:1:1: expression nests too deeply');
  let parsed: Parsed;
  try {
    parsed = parse(text, environment);
  } catch (error) {
    throw compilationFailed(text, error as Error);
  }
  const { program, ast } = parsed;
  const result = program.check();
  if (!result.valid) throw compilationFailed(text, result.error as Error);
  const type = result.type ?? 'dyn';
  if (expected && type !== 'dyn' && !expected.types.includes(type)) throw new Error(expected.problem);
  return {
    evaluate: context => program(context as Record<string, unknown>) as unknown,
    ast,
    type,
    cost: costOf(ast),
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
