/** Names a value in a CycleState; the phantom parameter carries its type. */
export interface StateKey<T> {
  readonly name: string;
  readonly value?: T;
}

export function stateKey<T>(name: string): StateKey<T> {
  return { name };
}

/** What the plugins hand from one extension point to a later one while one pod is scheduled. */
export class CycleState {
  /** Plugins whose preFilter said Skip. */
  readonly skipFilter = new Set<string>();
  /** Plugins whose preScore said Skip. */
  readonly skipScore = new Set<string>();
  private readonly values = new Map<StateKey<unknown>, unknown>();

  write<T>(key: StateKey<T>, value: T): void {
    this.values.set(key, value);
  }

  /** Undefined when the plugin's earlier extension point did not run or had nothing to say. */
  read<T>(key: StateKey<T>): T | undefined {
    return this.values.get(key) as T | undefined;
  }
}
