import { invalid, type FieldError } from './field-error';

/** An absolute number or "25%". */
export function validateIntOrPercent(value: string | number | undefined, path: string, errors: FieldError[]): void {
  if (typeof value === 'number') {
    if (value < 0) errors.push(invalid(path, value, 'must be greater than or equal to 0'));
  } else if (value !== undefined) {
    if (!/^\d+%$/.test(value)) {
      errors.push(
        invalid(
          path,
          value,
          "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')",
        ),
      );
    } else if (Number(value.slice(0, -1)) > 100) {
      errors.push(invalid(path, value, 'must not be greater than 100%'));
    }
  }
}

/** `value` of `total`, when it is a percentage; percentages round up or down. @throws Error for another string */
export function scaledIntOrPercent(value: string | number, total: number, roundUp: boolean): number {
  if (typeof value === 'number') return value;
  const match = /^(\d+)%$/.exec(value);
  if (!match) throw new Error(`invalid value for IntOrString: invalid type: string is not a percentage: ${value}`);
  const exact = (Number(match[1]) * total) / 100;
  return roundUp ? Math.ceil(exact) : Math.floor(exact);
}
