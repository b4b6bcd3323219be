interface UpdateStrategy<Rolling> {
  type?: string | undefined;
  rollingUpdate?: Rolling | undefined;
}

/** An update rolls unless it is said otherwise; what is not said of how it rolls is `bounds`. */
export function defaultRollingUpdate<Rolling extends object>(strategy: UpdateStrategy<Rolling>, bounds: Rolling): void {
  strategy.type ||= 'RollingUpdate';
  if (strategy.type !== 'RollingUpdate') return;
  const rolling = (strategy.rollingUpdate ??= {} as Rolling);
  for (const field of Object.keys(bounds) as (keyof Rolling)[]) rolling[field] ??= bounds[field];
}

/** Nothing, or nothing of anything. */
export function isZeroBound(value: number | string | undefined): boolean {
  return value === undefined || /^0+%?$/.test(String(value));
}
