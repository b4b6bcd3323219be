import type { ASTNode } from '@marcbachmann/cel-js';
import { childrenOf } from './cost';

interface Edit {
  start: number;
  end: number;
  text: string;
}

const bound = '__operand';

/**
 * The engine knows has() of a path of names only, CEL that of a field of any expression: `has(self[0].a)`. The same is
 * said with the object bound to a name. Undefined: the expression has no such operand.
 */
export function withBoundOperands(text: string, root: ASTNode): string | undefined {
  const edits = editsOf(text, root);
  return edits.length === 0 ? undefined : edited(text, { start: 0, end: text.length }, edits);
}

function editsOf(text: string, node: ASTNode): Edit[] {
  const [operand] = node.op === 'call' && node.args[0] === 'has' ? childrenOf(node) : [];
  if (operand?.op !== '.' || isPath(operand)) return childrenOf(node).flatMap(child => editsOf(text, child));
  const [object, field] = operand.args;
  const value = edited(text, object, editsOf(text, object));
  return [{ start: node.start, end: node.end, text: `cel.bind(${bound}, ${value}, has(${bound}.${field}))` }];
}

function isPath(node: ASTNode): boolean {
  if (node.op === '.' || node.op === '.?') return isPath(node.args[0]);
  return node.op === 'id';
}

/** A part of the text with these edits, which are in order, made to it. */
function edited(text: string, { start, end }: { start: number; end: number }, edits: readonly Edit[]): string {
  let result = '';
  let at = start;
  for (const edit of edits) {
    result += text.slice(at, edit.start) + edit.text;
    at = edit.end;
  }
  return result + text.slice(at, end);
}
