import fs from 'node:fs';
import path from 'node:path';
import { cri } from '@naru/proto';
import type { NetworkConfig } from '../cni/cni-config';
import type { Attachment, NetworkResult } from '../cni/cni';
import { listDirectory, readJson, writeAtomic } from '../process/files';
import type { ProcessIdentity } from '../process/process-identity';

/** How a sandbox was attached to its network: kept because detaching must see the same. */
export interface SandboxNetwork {
  config: NetworkConfig;
  attachment: Attachment;
  /** Absent while the plugins run for the first time. */
  result?: NetworkResult;
}

/** What is known of a sandbox, and survives the process and the machine. */
export interface SandboxRecord {
  id: string;
  config: cri.PodSandboxConfig;
  runtimeHandler: string;
  /** Nanoseconds since the epoch. */
  createdAt: bigint;
  /**
   * `creating` on disk when the process died meanwhile: such a one is taken apart at the next start. `dead`: its namespaces are gone or
   * incomplete, and something of it is still to be taken away.
   */
  phase: 'creating' | 'ready' | 'dead' | 'stopped';
  network?: SandboxNetwork;
  ips: string[];
  /** The pause process that holds a shared PID namespace. */
  pause?: ProcessIdentity;
}

interface StoredRecord extends Omit<SandboxRecord, 'config' | 'createdAt'> {
  config: unknown;
  createdAt: string;
}

/** Sandboxes on disk: `DIR/sandboxes/ID/sandbox.json`. */
export class SandboxRecords {
  readonly #directory: string;

  constructor(root: string) {
    this.#directory = path.join(root, 'sandboxes');
    fs.mkdirSync(this.#directory, { recursive: true, mode: 0o711 });
  }

  directory(id: string): string {
    return path.join(this.#directory, id);
  }

  save(record: SandboxRecord): void {
    const stored: StoredRecord = {
      ...record,
      config: cri.PodSandboxConfig.toJSON(record.config),
      createdAt: String(record.createdAt),
    };
    fs.mkdirSync(this.directory(record.id), { recursive: true, mode: 0o711 });
    writeAtomic(path.join(this.directory(record.id), 'sandbox.json'), JSON.stringify(stored));
  }

  remove(id: string): void {
    fs.rmSync(this.directory(id), { recursive: true, force: true });
  }

  /** Every readable record; directories without one are leftovers of a removal, and go. */
  load(): SandboxRecord[] {
    return listDirectory(this.#directory).flatMap(id => {
      const stored = readJson(path.join(this.directory(id), 'sandbox.json')) as StoredRecord | undefined;
      if (!stored) {
        this.remove(id);
        return [];
      }
      return [{ ...stored, config: cri.PodSandboxConfig.fromJSON(stored.config), createdAt: BigInt(stored.createdAt) }];
    });
  }
}
