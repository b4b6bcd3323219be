import path from 'node:path';
import { StatusError, type Logger } from '@naru/foundation';
import type { Cgroups } from '../process/cgroups';
import { OciRuntime, detectOciRuntime, findProgram } from './oci-runtime';

export interface OciRuntimesDeps {
  /** What containers run with that ask for nothing else. */
  standard: OciRuntime;
  /** Run state; each runtime has a folder of its own in it. */
  state: string;
  cgroupParent: string;
  cgroups: Cgroups;
  logger: Logger;
}

/** Handlers that a RuntimeClass may name; each is the program of that name. */
const handlers = ['crun', 'runc'];

/** The OCI runtimes of this machine, by the handler of a RuntimeClass; the empty one is the standard. */
export class OciRuntimes {
  readonly #byHandler = new Map<string, OciRuntime>();
  readonly #working = new Map<string, Promise<void>>();

  constructor(private readonly deps: OciRuntimesDeps) {
    this.#byHandler.set('', deps.standard);
    for (const name of handlers) {
      const program = name === deps.standard.name ? deps.standard.program : findProgram(name);
      if (program === undefined) continue;
      const own =
        program === deps.standard.program ? deps.standard : new OciRuntime(program, this.#root(name), deps.cgroups);
      this.#byHandler.set(name, own);
    }
  }

  #root(name: string): string {
    return path.join(this.deps.state, `oci-${name}`);
  }

  get standard(): OciRuntime {
    return this.deps.standard;
  }

  /** Of those that are installed. */
  get handlers(): string[] {
    return [...this.#byHandler.keys()];
  }

  all(): OciRuntime[] {
    return [...new Set(this.#byHandler.values())];
  }

  /** For a container that exists: its handler was checked when its sandbox was made. */
  get(handler: string): OciRuntime {
    return this.#byHandler.get(handler) ?? this.deps.standard;
  }

  /** Throws BadRequest unless the handler is there and works on this machine, which is tried out once. */
  async check(handler: string): Promise<void> {
    const runtime = this.#byHandler.get(handler);
    if (!runtime) throw new StatusError('BadRequest', `no runtime for "${handler}" is configured`);
    if (runtime === this.deps.standard) return;
    const { state, cgroupParent, cgroups, logger } = this.deps;
    let working = this.#working.get(handler);
    if (!working) {
      const scratch = path.join(state, 'probe');
      working = detectOciRuntime([runtime.program], {
        root: runtime.root,
        scratch,
        cgroupParent,
        cgroups,
        logger,
      }).then(() => undefined);
      this.#working.set(handler, working);
      working.catch(() => this.#working.delete(handler));
    }
    await working;
  }
}
