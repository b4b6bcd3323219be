/**
 * Expands $(NAME) as upstream: `$$` is an escaped dollar, unknown names stay as they are.
 * Source: third_party/forked/golang/expansion.
 */
export function expand(text: string, lookUp: (name: string) => string | undefined): string {
  let result = '';
  for (let i = 0; i < text.length; i++) {
    const char = text[i];
    if (char !== '$' || i + 1 >= text.length) {
      result += char;
      continue;
    }
    const next = text[i + 1];
    if (next === '$') {
      result += '$';
      i++;
    } else if (next === '(') {
      const end = text.indexOf(')', i + 2);
      if (end < 0) {
        result += '$(';
        i++;
        continue;
      }
      const name = text.slice(i + 2, end);
      result += lookUp(name) ?? `$(${name})`;
      i = end;
    } else result += char;
  }
  return result;
}
