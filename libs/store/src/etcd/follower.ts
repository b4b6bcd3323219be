import * as grpc from '@grpc/grpc-js';
import type { etcd } from '@naru/proto';
import type { Endpoint, Endpoints } from './endpoints';

export interface FollowerDeps {
  endpoints: Endpoints;
  /** Whole revisions, in order, without holes. */
  onEvents(events: readonly etcd.Event[]): void;
  /** What comes next is compacted: the follower has ended. */
  onCompacted(oldest: number): void;
}

const everything = Buffer.from([0]);
const minRetryMs = 20;
const maxRetryMs = 1_000;

/**
 * Follows every change of the whole store, over whichever member is reached, and goes on at the next revision after
 * each break. All keys are followed, for then each revision shows itself, and nobody has to be asked how far one is.
 */
export class Follower {
  private closed = false;
  private cancel: () => void = () => undefined;
  private wake: () => void = () => undefined;

  /** `next` is the first revision that is wanted. */
  constructor(
    private readonly deps: FollowerDeps,
    private next: number,
  ) {}

  start(): void {
    void this.run();
  }

  close(): void {
    this.closed = true;
    this.cancel();
    this.wake();
  }

  private async run(): Promise<void> {
    for (let delayMs = minRetryMs; !this.closed;) {
      const before = this.next;
      try {
        await this.follow(await this.deps.endpoints.pick());
      } catch {
        // Nothing to be reached: the next attempt waits longer.
      }
      if (this.closed) return;
      delayMs = this.next > before ? minRetryMs : Math.min(delayMs * 2, maxRetryMs);
      await new Promise<void>(resolve => {
        const timer = setTimeout(resolve, delayMs);
        this.wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  /** One stream, to its end. */
  private follow(endpoint: Endpoint): Promise<void> {
    const metadata = new grpc.Metadata();
    // A member that is cut off from the others ends the stream, in place of silence.
    metadata.set('hasleader', 'true');
    const stream = endpoint.watch.watch(metadata);
    this.cancel = () => stream.cancel();
    let held: etcd.Event[] = [];
    return new Promise(resolve => {
      stream.on('data', (response: etcd.WatchResponse) => {
        if (this.closed) return;
        if (response.canceled) {
          stream.cancel();
          if (response.compactRevision > 0n) {
            this.close();
            this.deps.onCompacted(Number(response.compactRevision));
          }
          return;
        }
        held = held.length === 0 ? response.events : held.concat(response.events);
        // The last revision of a piece may continue in the next one.
        const whole = response.fragment
          ? held.findIndex(event => revisionOf(event) === revisionOf(held.at(-1)!))
          : held.length;
        const events = held.slice(0, whole);
        held = held.slice(whole);
        if (events.length === 0) return;
        this.next = revisionOf(events.at(-1)!) + 1;
        this.deps.onEvents(events);
      });
      stream.on('error', (error: grpc.ServiceError) => {
        this.deps.endpoints.blame(endpoint, error);
        resolve();
      });
      stream.on('end', resolve);
      stream.write({
        requestUnion: {
          $case: 'createRequest',
          value: {
            key: everything,
            rangeEnd: everything,
            startRevision: BigInt(this.next),
            fragment: true,
          },
        },
      });
    });
  }
}

export function revisionOf({ kv }: etcd.Event): number {
  return Number(kv!.modRevision);
}
