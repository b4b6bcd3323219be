import fs from 'node:fs';
import path from 'node:path';
import { cri } from '@naru/proto';
import { listDirectory, readJson, writeAtomic } from '../process/files';
import type { ProcessIdentity } from '../process/process-identity';
import type { OciProcess } from '../spec/oci-types';
import type { ProcessUser } from '../spec/users';

/** How a container ended. */
export interface ContainerExit {
  code: number;
  /** Nanoseconds since the epoch, as all times here. */
  finishedAt: bigint;
  oomKilled: boolean;
  /** CamelCase; empty for the usual Completed and Error. */
  reason: string;
  message: string;
}

/** What is known of a container, and survives the process and the machine. */
export interface ContainerRecord {
  id: string;
  sandboxId: string;
  config: cri.ContainerConfig;
  imageId: string;
  /** repository@digest of the image, or its id when it has none. */
  imageRef: string;
  stopSignal: cri.Signal;
  cgroup: string;
  logPath: string;
  user: ProcessUser;
  /** The process as it was specified: commands that are executed later start from it. */
  process: OciProcess;
  /** True when the container's processes end with its first one. */
  ownPid: boolean;
  createdAt: bigint;
  startedAt: bigint;
  main: ProcessIdentity | undefined;
  conmon: ProcessIdentity | undefined;
  exit: ContainerExit | undefined;
}

function replaceBigints(_: string, value: unknown): unknown {
  return typeof value === 'bigint' ? { bigint: String(value) } : value;
}

function reviveBigints(_: string, value: unknown): unknown {
  const text = (value as { bigint?: unknown } | null)?.bigint;
  return typeof text === 'string' && Object.keys(value as object).length === 1 ? BigInt(text) : value;
}

/** Containers on disk: `DIR/containers/ID/container.json`, next to their snapshot. */
export class ContainerRecords {
  readonly #directory: string;

  constructor(root: string) {
    this.#directory = path.join(root, 'containers');
    fs.mkdirSync(this.#directory, { recursive: true, mode: 0o711 });
  }

  directory(id: string): string {
    return path.join(this.#directory, id);
  }

  save(record: ContainerRecord): void {
    fs.mkdirSync(this.directory(record.id), { recursive: true, mode: 0o711 });
    const stored = { ...record, config: cri.ContainerConfig.toJSON(record.config) };
    writeAtomic(path.join(this.directory(record.id), 'container.json'), JSON.stringify(stored, replaceBigints));
  }

  forget(id: string): void {
    fs.rmSync(path.join(this.directory(id), 'container.json'), { force: true });
  }

  /** Every readable record, and the ids of directories without one: leftovers of a creation or removal that was cut off. */
  load(): { records: ContainerRecord[]; orphans: string[] } {
    const records: ContainerRecord[] = [];
    const orphans: string[] = [];
    for (const id of listDirectory(this.#directory)) {
      const raw = readJson(path.join(this.directory(id), 'container.json'));
      if (!raw) orphans.push(id);
      else {
        const stored = JSON.parse(JSON.stringify(raw), reviveBigints) as Omit<ContainerRecord, 'config'> & {
          config: unknown;
        };
        const defaults = { main: undefined, conmon: undefined, exit: undefined };
        records.push({ ...defaults, ...stored, config: cri.ContainerConfig.fromJSON(stored.config) });
      }
    }
    return { records, orphans };
  }
}
