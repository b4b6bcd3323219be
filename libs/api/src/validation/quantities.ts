import { parseNano } from '../quantity';
import { invalid, type FieldError } from './field-error';

export const wholeUnit = 1_000_000_000n;

/** An amount that is not negative; of what is counted, a whole one. */
export function validateAmount(
  amount: string | undefined,
  path: string,
  errors: FieldError[],
  { integer = false } = {},
): void {
  if (amount === undefined) return;
  const value = parseNano(amount);
  if (value < 0n) errors.push(invalid(path, amount, 'must be greater than or equal to 0'));
  if (integer && value % wholeUnit !== 0n) errors.push(invalid(path, amount, 'must be an integer'));
}
