/** An exact resource quantity ("100m", "1.5Gi", "2e3"). Immutable. */
export class Quantity {
  private constructor() {}
  /** @throws Error "quantities must match the regular expression ..." */
  static parse(_text: string | number): Quantity {
    throw new Error('not there yet');
  }
}
