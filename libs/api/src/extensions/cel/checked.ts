/** `value()` where `valid`. @throws Error with `problem` */
export function checked<T>(valid: boolean, value: () => T, problem: string): T {
  if (!valid) throw new Error(problem);
  return value();
}
