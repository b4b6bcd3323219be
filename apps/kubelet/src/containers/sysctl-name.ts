/** The name of a kernel parameter with dots as separators: where the first one is a slash, slashes are, and a dot is part of a name. */
export function dottedSysctl(name: string): string {
  const first = /[./]/.exec(name)?.[0];
  return first === '/' ? name.replace(/[./]/g, letter => (letter === '/' ? '.' : '/')) : name;
}
