/** What is wrong with a configuration: the path of the field, and why. */
export class ConfigError extends Error {
  constructor(path: string, problem: string) {
    super(`${path}: ${problem}`);
    this.name = 'ConfigError';
  }
}

/** A value of a configuration file together with its path. Every reader throws ConfigError for what it cannot be. */
export class ConfigNode {
  constructor(
    readonly value: unknown,
    readonly path: string,
  ) {}

  get isAbsent(): boolean {
    return this.value === undefined || this.value === null;
  }

  fail(problem: string): never {
    throw new ConfigError(this.path, problem);
  }

  /** The fields of a mapping; an absent one has none. Fields with other names are refused. */
  fields<const K extends string>(...names: K[]): Record<K, ConfigNode> {
    if (!this.isAbsent && (typeof this.value !== 'object' || Array.isArray(this.value)))
      this.fail('must be a mapping of fields');
    const given = (this.value ?? {}) as Record<string, unknown>;
    const known: readonly string[] = names;
    const unknown = Object.keys(given).find(name => !known.includes(name));
    if (unknown !== undefined) throw new ConfigError(this.below(unknown), 'unknown field');
    const entries = names.map(name => [name, new ConfigNode(given[name], this.below(name))]);
    return Object.fromEntries(entries) as Record<K, ConfigNode>;
  }

  /** The items of a list; of an absent one none. */
  items(): ConfigNode[] {
    if (this.isAbsent) return [];
    if (!Array.isArray(this.value)) this.fail('must be a list');
    return (this.value as unknown[]).map((item, i) => new ConfigNode(item, `${this.path}[${i}]`));
  }

  text(fallback?: string): string {
    if (this.isAbsent && fallback !== undefined) return fallback;
    if (typeof this.value !== 'string' || (this.value === '' && fallback === undefined))
      this.fail(this.isAbsent ? 'Required value' : 'must be a string');
    return this.value as string;
  }

  choice<const T extends string>(choices: readonly T[], fallback?: T): T {
    const value = this.text(fallback);
    const found = choices.find(choice => choice === value);
    return found ?? this.fail(`Unsupported value: "${value}": supported values: ${choices.join(', ')}`);
  }

  truth(fallback: boolean): boolean {
    if (this.isAbsent) return fallback;
    return typeof this.value === 'boolean' ? this.value : this.fail('must be true or false');
  }

  integer({ min, max, fallback }: { min: number; max: number; fallback?: number }): number {
    if (this.isAbsent && fallback !== undefined) return fallback;
    const { value } = this;
    if (typeof value !== 'number' || !Number.isInteger(value)) return this.fail('must be a whole number');
    return value >= min && value <= max ? value : this.fail(`must be between ${min} and ${max}`);
  }

  private below(name: string): string {
    return this.path === '' ? name : `${this.path}.${name}`;
  }
}
