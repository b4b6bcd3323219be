import type { PriorityLevelConfiguration } from '@naru/api';
import { decodeBytes } from '../storage/codec';
import type { WatchCache } from '../storage/watch-cache';
import type { FlowControlMetrics } from './flow-control-metrics';
import { compileSchemas, schemaMatches, type CompiledSchema, type RequestDigest } from './flow-schemas';
import { PriorityLevel, RequestRejected, type Seat } from './priority-level';

export interface FlowControlDeps {
  flowSchemas: WatchCache;
  priorityLevels: WatchCache;
  metrics: FlowControlMetrics;
  /** Requests that are served at the same time, all levels together; upstream's 400 reading and 200 writing ones. */
  totalSeats?: number | undefined;
}

/** To what a request belongs. */
export interface Classification {
  schema: CompiledSchema;
  level: PriorityLevel;
}

const defaultSeats = 600;

/** API priority and fairness: no client and no class of clients keeps the others from being served. */
export class FlowControl {
  private readonly levels = new Map<string, PriorityLevel>();
  private schemas: readonly CompiledSchema[] = [];
  private generation = -1;

  constructor(private readonly deps: FlowControlDeps) {}

  /** Undefined only in a cluster without any flow schema. */
  classify(digest: RequestDigest): Classification | undefined {
    this.refresh();
    for (const schema of this.schemas) {
      const level = this.levels.get(schema.level);
      if (level && schemaMatches(schema, digest)) return { schema, level };
    }
    return undefined;
  }

  /** A seat at once or later. @throws RequestRejected where there is none and no more may wait for one */
  enter({ schema, level }: Classification, digest: RequestDigest, signal: AbortSignal): Seat | Promise<Seat> {
    const { metrics } = this.deps;
    const refuse = (error: unknown): never => {
      if (error instanceof RequestRejected) metrics.rejected(level.name, schema.name, error.why);
      throw error;
    };
    let seat: Seat | Promise<Seat>;
    try {
      seat = level.enter(flowOf(schema, digest), signal);
    } catch (error) {
      return refuse(error);
    }
    metrics.dispatched(level.name, schema.name);
    return seat instanceof Promise ? seat.catch(refuse) : seat;
  }

  get all(): Iterable<PriorityLevel> {
    return this.levels.values();
  }

  private refresh(): void {
    const { flowSchemas, priorityLevels, totalSeats = defaultSeats } = this.deps;
    const generation = flowSchemas.generation + priorityLevels.generation;
    if (generation === this.generation) return;
    this.generation = generation;
    this.schemas = compileSchemas(flowSchemas);
    const specs = new Map(
      priorityLevels.select({ namespace: '' }).map(({ name, uid, bytes }) => {
        return [name, { uid, spec: decodeBytes<PriorityLevelConfiguration>(bytes).spec }];
      }),
    );
    // Those that are served or wait stay what they were; nobody new comes.
    for (const name of this.levels.keys()) if (!specs.has(name)) this.levels.delete(name);
    let shares = 0;
    for (const { spec } of specs.values()) shares += sharesOf(spec);
    for (const [name, { uid, spec }] of specs) {
      let level = this.levels.get(name);
      if (!level) {
        level = new PriorityLevel(
          name,
          borrower => this.lends(borrower),
          () => this.onRelease(),
        );
        this.levels.set(name, level);
      }
      level.configure(uid, spec);
      level.nominal = shares === 0 ? 0 : Math.ceil((totalSeats * sharesOf(spec)) / shares);
      level.lendable = Math.round((level.nominal * (spec?.limited?.lendablePercent ?? 0)) / 100);
      const { borrowingLimitPercent: limit } = spec?.limited ?? {};
      level.borrowingLimit = limit === undefined ? undefined : Math.round((level.nominal * limit) / 100);
      level.dispatch();
    }
  }

  /** Whether, of the seats that the levels lend, one is free for `borrower`. */
  private lends(borrower: PriorityLevel): boolean {
    const own = borrower.executing - borrower.nominal;
    if (borrower.borrowingLimit !== undefined && own >= borrower.borrowingLimit) return false;
    let free = 0;
    for (const level of this.levels.values()) {
      if (level.exempt) continue;
      const idle = level.nominal - level.executing;
      free += idle < 0 ? idle : Math.min(level.lendable, idle);
    }
    return free > 0;
  }

  private onRelease(): void {
    for (const level of this.levels.values()) if (level.waiting > 0) level.dispatch();
  }
}

function sharesOf(spec: PriorityLevelConfiguration['spec']): number {
  if (spec?.type === 'Exempt') return spec.exempt?.nominalConcurrencyShares ?? 0;
  return spec?.limited?.nominalConcurrencyShares ?? 30;
}

function flowOf({ name, distinguisher }: CompiledSchema, { user, resource }: RequestDigest): number {
  const what = distinguisher === 'ByUser' ? user.username : distinguisher === 'ByNamespace' ? resource?.namespace : '';
  return hash(`${name}\n${what}`);
}

/** FNV-1a, 32 bits. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193);
  return value >>> 0;
}
