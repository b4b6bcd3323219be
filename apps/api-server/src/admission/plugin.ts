import type { Clock, Logger } from '@naru/foundation';
import type { AnyDefinition, KubeObject, Scheme } from '@naru/api';
import type { UserInfo } from '../objects/request';
import type { Storage } from '../storage/storage';

export type AdmissionOperation = 'create' | 'update' | 'delete' | 'connect';

export interface AdmissionRequest {
  definition: AnyDefinition;
  operation: AdmissionOperation;
  namespace: string;
  /** "" while generateName has not been resolved. */
  name: string;
  subresource: string;
  /** May be changed, or replaced, by `admit` only. Absent for delete. */
  object: KubeObject | undefined;
  old: KubeObject | undefined;
  user: UserInfo;
  dryRun: boolean;
  /** Who writes fields, as the client says; "" without a word of it. */
  fieldManager: string;
  warnings: string[];
  signal: AbortSignal;
  /** The second round of `admit`, which a webhook or policy that changed the object brings about. */
  round?: ReinvocationRound;
}

/** What the plugins that call others remember from the first round of `admit` to the second. */
export interface ReinvocationRound {
  isReinvocation: boolean;
  /** Set by who changes the object late: the others are to see it. */
  wanted: boolean;
  /** By plugin. */
  memory: Map<string, unknown>;
}

export interface AdmissionDeps {
  storage: Storage;
  scheme: Scheme;
  logger: Logger;
  clock: Clock;
}

/** One rule about what may be written. Refuses by throwing a StatusError. */
export interface AdmissionPlugin {
  name: string;
  handles(request: AdmissionRequest): boolean;
  /** Changes the object. */
  admit?(request: AdmissionRequest, deps: AdmissionDeps): void | Promise<void>;
  /** Sees the object as it will be stored. */
  validate?(request: AdmissionRequest, deps: AdmissionDeps): void | Promise<void>;
}

/** Runs the plugins in the order of their list. */
export class Admission {
  constructor(
    private readonly plugins: readonly AdmissionPlugin[],
    private readonly deps: AdmissionDeps,
  ) {}

  async admit(request: AdmissionRequest): Promise<void> {
    await this.admitOnce(request);
    const { round } = request;
    if (!round?.wanted) return;
    round.isReinvocation = true;
    await this.admitOnce(request);
  }

  private async admitOnce(request: AdmissionRequest): Promise<void> {
    for (const plugin of this.plugins)
      if (plugin.admit && plugin.handles(request)) {
        const running = plugin.admit(request, this.deps);
        if (running) await running;
      }
  }

  async validate(request: AdmissionRequest): Promise<void> {
    for (const plugin of this.plugins)
      if (plugin.validate && plugin.handles(request)) {
        const running = plugin.validate(request, this.deps);
        if (running) await running;
      }
  }
}
