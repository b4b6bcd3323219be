/** Multipliers of the suffixes as [factor, power of ten]. Source: apimachinery resource.Quantity. */
const suffixes: Record<string, readonly [bigint, number]> = {
  '': [1n, 0],
  n: [1n, -9],
  u: [1n, -6],
  m: [1n, -3],
  k: [1n, 3],
  M: [1n, 6],
  G: [1n, 9],
  T: [1n, 12],
  P: [1n, 15],
  E: [1n, 18],
  Ki: [1n << 10n, 0],
  Mi: [1n << 20n, 0],
  Gi: [1n << 30n, 0],
  Ti: [1n << 40n, 0],
  Pi: [1n << 50n, 0],
  Ei: [1n << 60n, 0],
};

const pattern = /^([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d{1,3})|([a-zA-Z]*))$/;

/** A quantity in units of 10^-9, exactly as far as upstream keeps it. Throws an Error that names what is wrong. */
export function parseNano(text: string): bigint {
  const match = pattern.exec(text);
  const [, sign = '', whole = '', fraction = '', exponent, suffix = ''] = match ?? [];
  const unit = exponent === undefined ? suffixes[suffix] : ([1n, Number(exponent)] as const);
  if (!match || whole + fraction === '') throw new Error(`Cannot parse quantity "${text}": not a number`);
  if (!unit) throw new Error(`Cannot parse quantity "${text}": unknown suffix "${suffix}"`);
  const power = 9 + unit[1] - fraction.length;
  let value = BigInt(whole + fraction) * unit[0];
  // What is finer than a nano is rounded up, as upstream does.
  if (power >= 0) value *= 10n ** BigInt(power);
  else value = ceilDivide(value, 10n ** BigInt(-power));
  return sign === '-' ? -value : value;
}

function ceilDivide(value: bigint, by: bigint): bigint {
  return value > 0n ? (value + by - 1n) / by : value / by;
}

const cacheLimit = 4096;
const cache = new Map<string, { units: number; millis: number }>();

function lookUp(text: string): { units: number; millis: number } {
  const known = cache.get(text);
  if (known) return known;
  const nano = parseNano(text);
  const parsed = { units: Number(ceilDivide(nano, 1_000_000_000n)), millis: Number(ceilDivide(nano, 1_000_000n)) };
  if (cache.size >= cacheLimit) cache.clear();
  cache.set(text, parsed);
  return parsed;
}

/** Whole units, rounded up: bytes of "1Gi", pods of "110". Throws for what is not a quantity. */
export function quantityValue(text: string): number {
  return lookUp(String(text)).units;
}

/** Thousandths, rounded up: millicores of "250m" or "0.25". Throws for what is not a quantity. */
export function quantityMilliValue(text: string): number {
  return lookUp(String(text)).millis;
}
