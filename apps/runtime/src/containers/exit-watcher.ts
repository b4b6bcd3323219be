import fs from 'node:fs';
import path from 'node:path';
import { listDirectory } from '../process/files';

export interface ExitFile {
  id: string;
  code: number;
  /** Nanoseconds since the epoch. */
  finishedAt: bigint;
}

/** Container ids; conmon writes beside them under temporary names. */
const idPattern = /^[0-9a-f]{64}$/;

/** Tells of the exit files that conmon writes, as they appear (inotify), and of those that are there already. */
export class ExitWatcher {
  #watcher: fs.FSWatcher | undefined;

  constructor(
    readonly directory: string,
    private readonly onExit: (exit: ExitFile) => void,
  ) {
    fs.mkdirSync(directory, { recursive: true, mode: 0o700 });
  }

  start(): void {
    // Watch first, look afterwards: whatever comes in between is then told twice, which does no harm.
    this.#watcher = fs.watch(this.directory, { persistent: false }, (_, name) => {
      if (name !== null) this.#tell(name);
    });
    for (const name of listDirectory(this.directory)) this.#tell(name);
  }

  #tell(name: string): void {
    const exit = idPattern.test(name) ? this.read(name) : undefined;
    if (exit) this.onExit(exit);
  }

  /** The exit of a container, if conmon has written it. */
  read(id: string): ExitFile | undefined {
    try {
      const file = path.join(this.directory, id);
      const code = Number(fs.readFileSync(file, 'utf8'));
      return { id, code: Number.isInteger(code) ? code : 255, finishedAt: fs.statSync(file, { bigint: true }).mtimeNs };
    } catch {
      return undefined;
    }
  }

  forget(id: string): void {
    fs.rmSync(path.join(this.directory, id), { force: true });
  }

  stop(): void {
    this.#watcher?.close();
  }
}
