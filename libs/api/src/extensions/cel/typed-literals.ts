/** Types of which the expressions of mutating policies make objects: `Object.spec{replicas: 3}`, `JSONPatch{op: "add"}`. */
const typeName = /(?:Object(?:\.[A-Za-z_]\w*)*|JSONPatch)\s*\{/y;
const fieldName = /\s*(\??)\s*(?:([A-Za-z_]\w*)|`([^`]+)`)\s*:/y;
const text = /[rRbB]{0,2}(?:"""[^]*?"""|'''[^]*?'''|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')/y;
const word = /[A-Za-z_]\w*/y;

/**
 * The same expression with maps in place of typed objects, which the engine does not know: what is made of them is JSON
 * either way. Texts stay as they are.
 */
export function withoutTypedLiterals(expression: string): string {
  if (!expression.includes('{')) return expression;
  let result = '';
  let at = 0;
  /** For each open bracket: whether its fields are to be quoted. */
  const open: boolean[] = [];
  const match = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at;
    return pattern.exec(expression);
  };
  const quoteField = (): void => {
    const field = open.at(-1) ? match(fieldName) : null;
    if (!field) return;
    at = fieldName.lastIndex;
    result += ` ${field[1]}${JSON.stringify(field[2] ?? field[3])}:`;
  };
  while (at < expression.length) {
    const whole = match(text) ?? match(typeName) ?? match(word);
    if (whole && whole[0].endsWith('{')) {
      at += whole[0].length;
      result += '{';
      open.push(true);
      quoteField();
      continue;
    }
    if (whole) {
      at += whole[0].length;
      result += whole[0];
      continue;
    }
    const character = expression[at++]!;
    result += character;
    if (character === '{' || character === '(' || character === '[') open.push(false);
    else if (character === '}' || character === ')' || character === ']') open.pop();
    else if (character === ',') quoteField();
  }
  return result;
}
