import type { AdmissionRequest, ReinvocationRound } from './plugin';

/** What one plugin that calls others remembers. Source: apiserver admission/reinvocation. */
interface Memory {
  /** Those that want to see what came after them, of those that were asked. */
  asked: Set<string>;
  /** Of these, those after whom something changed. */
  due: Set<string>;
  /** The object as this plugin left it. */
  left: string | undefined;
}

/** One pass of a plugin over its webhooks or policies: which are asked again in the second round, and why. */
export class ReinvocationPass {
  private readonly memory: Memory;
  private readonly round: ReinvocationRound;

  constructor(
    plugin: string,
    private readonly request: AdmissionRequest,
  ) {
    this.round = request.round ??= { isReinvocation: false, wanted: false, memory: new Map() };
    const known = this.round.memory.get(plugin) as Memory | undefined;
    this.memory = known ?? { asked: new Set(), due: new Set(), left: undefined };
    this.round.memory.set(plugin, this.memory);
    // Other plugins have changed the object since.
    const { asked, left } = this.memory;
    if (this.round.isReinvocation && asked.size > 0 && left !== this.current()) this.requireEarlier();
  }

  /** In the second round nobody is asked for the first time. */
  asks(uid: string): boolean {
    return !this.round.isReinvocation || this.memory.due.has(uid);
  }

  /** `uid` has been asked. */
  after(uid: string, { changed, reinvocable }: { changed: boolean; reinvocable: boolean }): void {
    if (changed) {
      this.requireEarlier();
      this.round.wanted = true;
    }
    if (reinvocable) this.memory.asked.add(uid);
  }

  end(): void {
    // Written out only for those who may be asked again.
    if (this.memory.asked.size > 0) this.memory.left = this.current();
  }

  private requireEarlier(): void {
    for (const uid of this.memory.asked) this.memory.due.add(uid);
    this.memory.asked.clear();
  }

  private current(): string | undefined {
    return this.request.object && JSON.stringify(this.request.object);
  }
}
