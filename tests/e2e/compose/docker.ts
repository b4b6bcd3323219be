import { spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import path from 'node:path';
import { eventually, freePort } from '@naru/testing';
import { repository, run, type Outcome, type RunOptions } from '../cluster';

/**
 * A Docker daemon of the test's own, beside any other on the machine: own data, own socket, and no rule or switch of the
 * machine's network touched (containers talk over their bridge, ports are published by Docker's user-space proxy).
 */
export class DockerDaemon {
  /** Of every command that is run; a test may add to it. */
  readonly environment: Record<string, string>;

  private constructor(
    private readonly folder: string,
    private readonly child: ChildProcess,
    /** Of the api-server, on this machine. */
    port: number,
  ) {
    this.environment = {
      DOCKER_HOST: `unix://${folder}/docker.sock`,
      DOCKER_CONFIG: path.join(folder, 'config'),
      DOCKER_BUILDKIT: '0',
      COMPOSE_PROJECT_NAME: 'naru-e2e',
      NARU_PORT: String(port),
    };
  }

  static async start(): Promise<DockerDaemon> {
    mkdirSync('/var/lib/naru', { recursive: true });
    const folder = mkdtempSync('/var/lib/naru/test-docker-');
    const log = openSync(path.join(folder, 'dockerd.log'), 'a');
    const args = [
      ...['--data-root', path.join(folder, 'data'), '--exec-root', path.join(folder, 'exec')],
      ...['--pidfile', path.join(folder, 'pid'), '--host', `unix://${folder}/docker.sock`],
      ...['--iptables=false', '--ip6tables=false', '--ip-forward=false', '--ip-masq=false'],
      // Keep out of the way of the machine's own networks.
      ...['--bridge', 'none', '--default-address-pool', 'base=10.89.0.0/16,size=24'],
    ];
    const child = spawn('dockerd', args, { stdio: ['ignore', log, log] });
    const daemon = new DockerDaemon(folder, child, await freePort());
    await eventually(() => daemon.docker(['version']), 90_000, 200);
    return daemon;
  }

  get configFolder(): string {
    return path.join(this.folder, 'config');
  }

  docker(args: string[], options: RunOptions = {}): Promise<Outcome> {
    return run('docker', args, { timeoutMs: 600_000, ...options, env: { ...this.environment, ...options.env } });
  }

  compose(args: string[], options: RunOptions = {}): Promise<Outcome> {
    return this.docker(['compose', '--project-directory', repository, ...args], options);
  }

  /** Ends the daemon, which ends its containers, and removes all that it stored. */
  async stop(): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) {
      const exited = new Promise(resolve => this.child.once('exit', resolve));
      this.child.kill('SIGTERM');
      await exited;
    }
    await run(
      'sh',
      ['-c', 'grep " $1/" /proc/self/mounts | cut -d" " -f2 | sort -r | xargs -r umount -l', 'sh', this.folder],
      { anyCode: true },
    );
    rmSync(this.folder, { recursive: true, force: true });
  }
}
