import { parseNano } from './quantity';

/** How upstream tells a quantity that is not one. Source: apimachinery resource.ErrFormatWrong. */
export const quantityFormatMessage =
  "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";

const nanosPerUnit = 1_000_000_000n;
const nanosPerMilli = 1_000_000n;
/** Larger amounts are capped, as upstream does. */
const maxNano = (2n ** 63n - 1n) * nanosPerUnit;
/** Small plain amounts, the usual case, are canonical as they stand. */
const canonical = /^(?:0|[1-9]\d{0,2}(?:[numkMGTP]|[KMGTP]i)?)$/;
const decimalSuffixes: Record<number, string> = {
  [-9]: 'n',
  [-6]: 'u',
  [-3]: 'm',
  0: '',
  3: 'k',
  6: 'M',
  9: 'G',
  12: 'T',
  15: 'P',
  18: 'E',
};
const binarySuffixes = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'];

export type QuantityFormat = 'DecimalSI' | 'BinarySI' | 'DecimalExponent';

/** An exact amount of a resource: "100m", "1.5Gi", "2e3". Immutable. Source: apimachinery resource.Quantity. */
export class Quantity {
  private constructor(
    /** In units of 10^-9. */
    readonly nano: bigint,
    readonly format: QuantityFormat,
  ) {}

  /** @throws Error with upstream's words when `text` is not a quantity. */
  static parse(text: string | number): Quantity {
    const trimmed = String(text);
    let nano: bigint;
    try {
      nano = parseNano(trimmed);
    } catch (cause) {
      throw new Error(quantityFormatMessage, { cause });
    }
    if (nano > maxNano) nano = maxNano;
    else if (nano < -maxNano) nano = -maxNano;
    return new Quantity(nano, formatOf(trimmed));
  }

  compare(other: Quantity): -1 | 0 | 1 {
    return this.nano < other.nano ? -1 : this.nano > other.nano ? 1 : 0;
  }

  /** Keeps this quantity's format, or takes the other's when this one is zero. */
  add(other: Quantity): Quantity {
    return new Quantity(this.nano + other.nano, this.nano === 0n ? other.format : this.format);
  }

  subtract(other: Quantity): Quantity {
    return new Quantity(this.nano - other.nano, this.nano === 0n ? other.format : this.format);
  }

  roundUpToMilli(): Quantity {
    const rest = this.nano % nanosPerMilli;
    if (rest === 0n) return this;
    const up = rest > 0n ? this.nano - rest + nanosPerMilli : this.nano - rest - nanosPerMilli;
    return new Quantity(up, this.format);
  }

  /** Canonical: no fraction, the largest suffix that keeps the amount exact. */
  toString(): string {
    if (this.nano === 0n) return '0';
    const whole = this.nano / nanosPerUnit;
    const isWhole = whole * nanosPerUnit === this.nano;
    if (this.format === 'BinarySI' && isWhole && (whole >= 1024n || whole <= -1024n)) return formatBinary(whole);
    return formatDecimal(this.nano, this.format === 'DecimalExponent');
  }
}

function formatOf(text: string): QuantityFormat {
  if (text.endsWith('i')) return 'BinarySI';
  return /[eE][+-]?\d+$/.test(text) ? 'DecimalExponent' : 'DecimalSI';
}

function formatBinary(whole: bigint): string {
  let power = 0;
  while (power < binarySuffixes.length - 1 && whole % 1024n === 0n) {
    whole /= 1024n;
    power++;
  }
  return `${whole}${binarySuffixes[power]}`;
}

function formatDecimal(nano: bigint, exponential: boolean): string {
  let exponent = -9;
  while (exponent < 18 && nano % 1000n === 0n) {
    nano /= 1000n;
    exponent += 3;
  }
  if (!exponential) return `${nano}${decimalSuffixes[exponent]}`;
  return exponent === 0 ? `${nano}` : `${nano}e${exponent}`;
}

/** `text` in canonical form. @throws Error as Quantity.parse. */
export function canonicalQuantity(text: string | number): string {
  const plain = String(text);
  return canonical.test(plain) ? plain : Quantity.parse(plain).toString();
}

/** The same, rounded up to thousandths: what upstream makes of the amounts in a ResourceList. */
export function canonicalAmount(text: string | number): string {
  const plain = String(text);
  if (canonical.test(plain) && !plain.endsWith('n') && !plain.endsWith('u')) return plain;
  return Quantity.parse(plain).roundUpToMilli().toString();
}
