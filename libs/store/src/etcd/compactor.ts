import { etcd } from '@naru/proto';
import type { Endpoints } from './endpoints';

export interface CompactorOptions {
  /** Where the api-servers note who compacted last. */
  key: string;
  /** 0: never by itself. */
  intervalMs: number;
}

/**
 * Makes etcd forget what is older than an interval, as upstream's api-server does. Of several, the one whose note is
 * still the last one after an interval compacts, up to where the store was when it wrote that note.
 */
export class Compactor {
  private readonly timer: NodeJS.Timeout | undefined;
  private seen: { modRevision: bigint; revision: number } = { modRevision: 0n, revision: 0 };

  constructor(
    private readonly endpoints: Endpoints,
    private readonly options: CompactorOptions,
  ) {
    if (options.intervalMs === 0) return;
    // What cannot be compacted now can be at the next turn.
    this.timer = setInterval(() => void this.turn().catch(() => undefined), options.intervalMs);
    this.timer.unref();
  }

  close(): void {
    clearInterval(this.timer);
  }

  async compact(revision: number): Promise<void> {
    await this.endpoints.call(({ kv }) => kv.compact.bind(kv), { revision: BigInt(revision) });
  }

  private async turn(): Promise<void> {
    const key = Buffer.from(this.options.key);
    const { modRevision, revision } = this.seen;
    const note: etcd.TxnRequest = {
      compare: [
        {
          result: etcd.Compare_CompareResult.EQUAL,
          target: etcd.Compare_CompareTarget.MOD,
          key,
          targetUnion: { $case: 'modRevision', value: modRevision },
        },
      ],
      success: [{ request: { $case: 'requestPut', value: { key, value: Buffer.from(String(revision)), lease: 0n } } }],
    };
    const { succeeded, header } = await this.endpoints.call(({ kv }) => kv.txn.bind(kv), note);
    const current = Number(header!.revision);
    if (succeeded) {
      this.seen = { modRevision: header!.revision, revision: current };
      if (revision > 0) await this.compact(revision);
      return;
    }
    const request = etcd.RangeRequest.fromPartial({ key });
    const { kvs } = await this.endpoints.call(({ kv }) => kv.range.bind(kv), request);
    this.seen = { modRevision: kvs[0]?.modRevision ?? 0n, revision: current };
  }
}
