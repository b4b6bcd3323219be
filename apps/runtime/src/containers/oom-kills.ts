import path from 'node:path';
import { constants } from 'node:os';
import { oomKills, type Cgroups } from '../process/cgroups';
import type { ContainerRecord } from './container-record';

/** Tells whether a container was ended by the kernel for want of memory. */
export class OomKills {
  /** Of sandboxes in slices of systemd, by their ids. */
  readonly #inPods = new Map<string, bigint>();

  constructor(private readonly cgroups: Cgroups) {}

  /**
   * systemd removes a cgroup with its last process, and its count with it. Then the pod's count tells, which has that of all its containers:
   * it has grown since another of them was asked for.
   */
  hasEnded(record: ContainerRecord, code: number): boolean {
    const counted = oomKills(this.cgroups, record.cgroup) > 0n;
    if (!record.cgroup.endsWith('.scope')) return counted;
    const total = oomKills(this.cgroups, path.posix.dirname(record.cgroup));
    const before = this.#inPods.get(record.sandboxId) ?? 0n;
    this.#inPods.set(record.sandboxId, total);
    return counted || (code === 128 + constants.signals.SIGKILL && total > before);
  }

  /** The sandbox has no containers any more. */
  forget(sandboxId: string): void {
    this.#inPods.delete(sandboxId);
  }
}
