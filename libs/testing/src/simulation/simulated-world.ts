import { MemoryObjects } from '../memory-objects';
import { Random } from './random';
import { SimulatedClock, settleMicrotasks } from './simulated-clock';
import { SimulatedProcess, type Faults, type ProcessEnvironment } from './simulated-process';

export type Start = (environment: ProcessEnvironment) => void;

/** A story: what there is, what happens, and what must come of it. */
export interface Scenario {
  /** What there is when the controllers start: `api.seed`. */
  objects?(api: MemoryObjects): void;
  /** What users do, one after the other, at times that the seed decides; what fails is tried again. */
  steps?: ((client: ProcessEnvironment['client']) => Promise<unknown>)[];
  /** Other programs that take part without faults: kubelets, schedulers. */
  others?: Start[];
  /** Throws while the end is not reached. */
  expectEnd(api: MemoryObjects): Promise<void>;
  /** Throws when something is so that never may be; looked at after every change. Not when answers are lost. */
  always?(api: MemoryObjects): Promise<void>;
  /** Writes that go on for ever by design, such as renewals, as they appear in the trace. */
  keepsWriting?: RegExp;
}

export interface WorldOptions {
  seed: number;
  faults?: Faults;
  /** The controllers' process dies right after this write, and another one is started. */
  crashAfterWrite?: number;
  /** How often another writer changes some object's version, in simulated milliseconds. */
  touchEveryMs?: number;
}

const limitMs = 30 * 60_000;
const maxSteps = 300_000;
/** Faults end then, so that the end can be reached. */
const faultsEndMs = 20_000;
const stepPauseMs = 1_000;

/** One run of a scenario under a seed. */
export class SimulatedWorld {
  readonly clock = new SimulatedClock();
  readonly random: Random;
  readonly api: MemoryObjects;
  /** The controllers' writes. */
  readonly trace: string[] = [];
  private controllers: SimulatedProcess | undefined;
  private stepsLeft: number;

  constructor(
    private readonly start: Start,
    private readonly scenario: Scenario,
    private readonly options: WorldOptions,
  ) {
    this.random = new Random(options.seed);
    this.api = new MemoryObjects(this.clock, () => this.random.uuid());
    this.stepsLeft = scenario.steps?.length ?? 0;
  }

  /** Runs until the end is reached, and some time on to see that it stays. Throws when it is not reached. */
  async run(restMs: number): Promise<void> {
    const { scenario, clock, options } = this;
    scenario.objects?.(this.api);
    for (const other of scenario.others ?? []) other(this.process({}));
    this.startControllers(options.faults ?? {}, options.crashAfterWrite);
    void this.takeSteps();
    this.touch();
    const begin = clock.now();
    clock.after(faultsEndMs, () => {
      if (this.controllers) this.controllers.faults = {};
    });
    const faulty = options.faults !== undefined || options.touchEveryMs !== undefined;
    await this.advanceUntil(async () => {
      if (this.stepsLeft > 0 || (faulty && clock.now() < begin + faultsEndMs)) return false;
      return scenario.expectEnd(this.api).then(
        () => true,
        () => false,
      );
    }, limitMs);
    await scenario.expectEnd(this.api);
    await this.advance(restMs);
    await scenario.expectEnd(this.api);
  }

  /** Lets time pass and answers what the controllers wrote meanwhile. */
  async advance(ms: number): Promise<string[]> {
    const before = this.trace.length;
    const until = this.clock.now() + ms;
    for (let steps = 0; await this.clock.step(until);) {
      if (++steps > maxSteps)
        throw new Error(`the controllers do not come to rest: ${this.trace.slice(-5).join('; ')}`);
    }
    const { keepsWriting } = this.scenario;
    return this.trace.slice(before).filter(line => !keepsWriting?.test(line));
  }

  /** Ends the controllers' process as if killed, and starts a new one. */
  restart(): void {
    this.controllers?.crash();
    this.startControllers({});
  }

  private startControllers(faults: Faults, crashAfterWrite?: number): void {
    const process = this.process(faults, (writes, what) => {
      this.trace.push(what);
      if (writes !== crashAfterWrite) return;
      process.crash();
      this.clock.after(500, () => this.startControllers({}));
    });
    this.controllers = process;
    this.start(process);
  }

  private process(faults: Faults, onWrite?: (writes: number, what: string) => void): SimulatedProcess {
    const { api, clock, random } = this;
    return new SimulatedProcess({ api, clock, random, faults, ...(onWrite ? { onWrite } : {}) });
  }

  private async takeSteps(): Promise<void> {
    const user = this.process({});
    for (const step of this.scenario.steps ?? []) {
      let done = false;
      // What is to be changed may not be there yet.
      while (!done) {
        await this.clock.sleep(this.random.below(stepPauseMs));
        done = await step(user.client).then(
          () => true,
          () => false,
        );
      }
      this.stepsLeft--;
    }
  }

  private touch(): void {
    const { touchEveryMs } = this.options;
    if (touchEveryMs === undefined) return;
    const end = this.clock.now() + faultsEndMs;
    const again = (): void => {
      this.api.touch(count => this.random.below(count));
      if (this.clock.now() < end) this.clock.after(this.random.below(2 * touchEveryMs), again);
    };
    this.clock.after(touchEveryMs, again);
  }

  private async advanceUntil(done: () => Promise<boolean>, withinMs: number): Promise<void> {
    const until = this.clock.now() + withinMs;
    const watchful = this.scenario.always && !this.options.faults?.lostAnswer;
    await settleMicrotasks();
    for (let steps = 0, seen = -1; steps < maxSteps; steps++) {
      const version = this.api.version;
      // Only a change, or time that passes, can bring the end.
      if (version !== seen || steps % 50 === 0) {
        seen = version;
        if (watchful) await this.scenario.always?.(this.api);
        if (await done()) return;
      }
      if (!(await this.clock.step(until))) return;
    }
  }
}
