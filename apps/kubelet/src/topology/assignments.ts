import fs from 'node:fs';

export interface AssignmentsDeps<T> {
  /** One of upstream's state files. */
  file: string;
  policy: string;
  /** "CPU manager", as advice calls it. */
  manager: string;
  encode: (given: T) => unknown;
  decode: (text: unknown) => T;
  /** What the file tells besides. */
  summary: () => object;
}

type State<S> = S & { policyName: string; entries?: Record<string, Record<string, unknown>>; checksum: number };

/** Which container was given what, kept in a file over restarts. */
export class Assignments<T> {
  /** Pod → container → what it has. */
  private readonly entries = new Map<string, Map<string, T>>();

  constructor(private readonly deps: AssignmentsDeps<T>) {}

  /** Everything that has been given, in the order of that. */
  get all(): T[] {
    return [...this.entries.values()].flatMap(containers => [...containers.values()]);
  }

  get advice(): string {
    const { manager, file } = this.deps;
    return `please drain this node and delete the ${manager} checkpoint file ${file} before restarting Kubelet`;
  }

  pods(): string[] {
    return [...this.entries.keys()];
  }

  get(pod: string, container: string): T | undefined {
    return this.entries.get(pod)?.get(container);
  }

  set(pod: string, given: Iterable<[container: string, given: T]>): void {
    this.entries.set(pod, new Map([...(this.entries.get(pod) ?? []), ...given]));
    this.save();
  }

  /** False when it had none. */
  remove(pod: string): boolean {
    const had = this.entries.delete(pod);
    if (had) this.save();
    return had;
  }

  /** Takes up what the file tells, and answers with it; undefined when there was none. Throws when another policy has written it. */
  load<S>(): S | undefined {
    const { file, policy, decode } = this.deps;
    if (!fs.existsSync(file)) {
      this.save();
      return undefined;
    }
    const read = JSON.parse(fs.readFileSync(file, 'utf8')) as State<S>;
    if (read.policyName !== policy) {
      const differs = `configured policy "${policy}" differs from state checkpoint policy "${read.policyName}"`;
      throw new Error(`${differs}: ${this.advice}`);
    }
    for (const [pod, containers] of Object.entries(read.entries ?? {})) {
      const given = Object.entries(containers).map(([name, text]) => [name, decode(text)] as const);
      this.entries.set(pod, new Map(given));
    }
    return read;
  }

  private save(): void {
    const { file, policy, encode, summary } = this.deps;
    const entries = Object.fromEntries(
      [...this.entries].map(([pod, containers]) => [
        pod,
        Object.fromEntries([...containers].map(([name, given]) => [name, encode(given)])),
      ]),
    );
    // Upstream's sum is one over Go's own form of the values; its CPU manager takes 0 for a file whose sum nobody has made.
    const state: State<object> = { policyName: policy, ...summary(), entries, checksum: 0 };
    fs.writeFileSync(`${file}.new`, JSON.stringify(state), { mode: 0o600 });
    fs.renameSync(`${file}.new`, file);
  }
}
