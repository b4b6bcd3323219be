import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { buildSync } from 'esbuild';
import type { IpFamily } from '../desired/ip-family';
import type { RuleConfig, RuleSync } from '../modes/mode';
import type { LabNode, NetworkLab } from './network-lab';
import type { Order } from './userspace-program';

/** The proxier of the mode userspace for both families, in a process whose network is that of a node of the lab. */
export class UserspaceProcess {
  private last: Promise<unknown> = Promise.resolve();

  private constructor(private readonly child: ChildProcess) {}

  static start(lab: NetworkLab, node: LabNode, config: Partial<Omit<RuleConfig, 'family'>> = {}): UserspaceProcess {
    const outfile = path.join(lab.dir, 'userspace-program.js');
    const entryPoints = [path.join(__dirname, 'userspace-program.ts')];
    buildSync({ entryPoints, outfile, bundle: true, platform: 'node', logLevel: 'error' });
    const args = [`--net=/run/netns/${node.namespace}`, process.execPath, outfile, JSON.stringify(config)];
    const child = spawn('nsenter', args, {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      // Values that are undefined are to arrive as such.
      serialization: 'advanced',
    });
    return new UserspaceProcess(child);
  }

  rules(family: IpFamily): RuleSync {
    return {
      sync: update =>
        this.order(
          update.full
            ? { do: 'all', family, ports: [...update.ports()] }
            : { do: 'changes', family, changes: update.changes },
        ),
      cleanup: () => this.order({ do: 'cleanup', family }),
    };
  }

  /** Without a word to anybody. */
  async kill(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const closed = once(this.child, 'close');
    this.child.kill('SIGKILL');
    await closed;
  }

  /** One after the other: the families' proxiers do not know of each other. */
  private order(order: Order): Promise<void> {
    const done = this.last.then(async () => {
      const answered = once(this.child, 'message');
      this.child.send(order);
      const [{ error }] = (await answered) as [{ error?: string }];
      if (error !== undefined) throw new Error(error);
    });
    this.last = done.catch(() => undefined);
    return done;
  }
}
