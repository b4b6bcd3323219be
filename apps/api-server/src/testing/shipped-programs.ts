import { spawn, type ChildProcess } from 'node:child_process';
import { builtProgram } from '@naru/testing';

/** Processes of other apps as they are shipped: whole programs, each in one file. */
export class ShippedPrograms {
  /** All that the processes have printed. */
  log = '';
  private readonly children = new Set<ChildProcess>();
  private readonly files: ReadonlyMap<string, string>;

  /** Before anything else runs in this process: while they are built, nothing does. */
  constructor(...names: readonly string[]) {
    this.files = new Map(names.map(name => [name, builtProgram(name)]));
  }

  start(name: string, flags: readonly string[]): ChildProcess {
    const child = spawn(process.execPath, [this.files.get(name) ?? '', ...flags]);
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (part: Buffer) => (this.log += part.toString()));
    this.children.add(child);
    return child;
  }

  /** kill -9 of those that still run. */
  close(): void {
    for (const child of this.children) child.kill('SIGKILL');
  }
}
