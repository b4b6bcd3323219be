import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { eventually } from './eventually';

/** A server's program that a test starts, kills and starts again, with a folder of its own. */
export class ServerProcess {
  /** Goes with `stop`. */
  readonly directory: string;
  private child: ChildProcess | undefined;

  constructor(private readonly program: string) {
    this.directory = mkdtempSync(path.join(tmpdir(), `naru-${program}-`));
  }

  /** Resolves when `ask` does. Rejects when it cannot be started, ends, or does not answer in time. */
  async start(args: readonly string[], ask: () => Promise<void>): Promise<void> {
    const child = (this.child = spawn(this.program, args, { stdio: 'ignore' }));
    const failed = new Promise<never>((_, reject) => {
      child.once('error', reject);
      child.once('exit', code => reject(new Error(`${this.program} has ended with ${code}`)));
    });
    // Later its end is the test's business.
    failed.catch(() => undefined);
    await Promise.race([failed, eventually(ask)]);
  }

  /** Ends it at once, as a crash would. */
  async kill(): Promise<void> {
    const { child } = this;
    if (!child?.pid || child.exitCode !== null || child.signalCode !== null) return;
    const exited = new Promise(resolve => child.once('exit', resolve));
    child.kill('SIGKILL');
    await exited;
  }

  async stop(): Promise<void> {
    await this.kill();
    rmSync(this.directory, { recursive: true, force: true });
  }
}
