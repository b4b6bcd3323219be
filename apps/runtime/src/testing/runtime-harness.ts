import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { credentials } from '@grpc/grpc-js';
import { cri } from '@naru/proto';
import {
  builtProgram,
  busyboxImage,
  claimNumber,
  eventually,
  writeOciLayout,
  type ClaimedNumber,
  type ImageDescription,
} from '@naru/testing';
import { call } from './call';

/** Real containers need root. In CI a test must not pass by being skipped. */
export const canRunContainers = process.getuid?.() === 0;
if (!canRunContainers && process.env['CI'] === 'true')
  throw new Error('the tests of the runtime need root, and CI must run them');

/** `describe`, or a skipped one that says why. */
export const describeWithRoot = canRunContainers
  ? describe
  : (name: string, body: () => void): void => describe.skip(`${name} (skipped: needs root)`, body);

export { call } from './call';

/**
 * The runtime as a process of its own, with real containers, in a directory of its own. It runs in a mount namespace that outlives it, as it
 * does on a node; so killing it leaves containers and mounts as they are. Its pods are on point-to-point links with addresses that
 * nothing else uses.
 */
export class RuntimeHarness {
  readonly directory = fs.mkdtempSync(path.join(os.tmpdir(), 'naru-runtime-'));
  readonly cgroup = `/naru-test-${path.basename(this.directory).slice(-6)}`;
  readonly log: string[] = [];
  #network: ClaimedNumber | undefined;
  #holder: ChildProcess | undefined;
  #process: ChildProcess | undefined;
  #runtime: cri.RuntimeServiceClient | undefined;
  #images: cri.ImageServiceClient | undefined;

  get socket(): string {
    return `unix:${this.directory}/run/runtime.sock`;
  }

  get runtime(): cri.RuntimeServiceClient {
    return (this.#runtime ??= new cri.RuntimeServiceClient(this.socket, credentials.createInsecure()));
  }

  get images(): cri.ImageServiceClient {
    return (this.#images ??= new cri.ImageServiceClient(this.socket, credentials.createInsecure()));
  }

  get pid(): number {
    return this.#process?.pid ?? 0;
  }

  /** A network of its own, of a block that is for tests. */
  async claimSubnet(): Promise<string> {
    this.#network ??= await claimNumber();
    return `198.18.${this.#network.value}.0/26`;
  }

  async writeNetwork(): Promise<void> {
    const conf = path.join(this.directory, 'cni');
    fs.mkdirSync(conf, { recursive: true });
    const subnet = await this.claimSubnet();
    const ipam = { type: 'host-local', dataDir: path.join(this.directory, 'ipam'), ranges: [[{ subnet }]] };
    fs.writeFileSync(
      path.join(conf, '10-test.conflist'),
      JSON.stringify({ cniVersion: '1.0.0', name: 'naru-test', plugins: [{ type: 'ptp', ipam }] }),
    );
  }

  constructor() {
    // As on a node: what runs is below a directory that all may pass through, what is kept below one that is for root alone.
    fs.chmodSync(this.directory, 0o711);
    fs.mkdirSync(path.join(this.directory, 'kept'), { mode: 0o700 });
  }

  /** What most tests begin with: a network, an image, and the runtime running. */
  async setUp(): Promise<void> {
    await this.writeNetwork();
    await this.loadImage();
    await this.start();
  }

  /** Starts the process, for the first time or again. */
  async start(...flags: string[]): Promise<void> {
    if (!this.#holder) {
      this.#holder = spawn('unshare', ['--mount', '--propagation', 'slave', 'sleep', 'infinity'], { stdio: 'ignore' });
      await eventually(() => {
        // The namespace alone is not enough: after that mounts are still to be made slaves.
        if (fs.readFileSync(`/proc/${this.#holder?.pid}/comm`, 'utf8') !== 'sleep\n')
          throw new Error('the mount namespace is not there yet');
      });
    }
    // Who called while it was down has made a client that now waits before it tries again.
    this.#disconnect();
    const at = (name: string): string => path.join(this.directory, name);
    const args = [
      builtProgram('runtime'),
      ...[
        `--listen=unix://${this.directory}/run/runtime.sock`,
        `--root=${at('kept/root')}`,
        `--state=${at('run/state')}`,
        `--image-store=${at('kept/images')}`,
      ],
      ...[
        `--cni-conf-dir=${at('cni')}`,
        `--cgroup-parent=${this.cgroup}`,
        '--health-address=127.0.0.1:0',
        '--hide-unified-cgroup',
      ],
      ...flags,
    ];
    this.#process = spawn('nsenter', ['--mount', '--target', String(this.#holder.pid), process.execPath, ...args], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const before = this.log.length;
    await new Promise<void>((resolve, reject) => {
      this.#process?.stdout?.on('data', (chunk: Buffer) => {
        this.log.push(chunk.toString('utf8'));
        if (this.log.slice(before).join('').includes('"msg":"listening"')) resolve();
      });
      this.#process?.once('exit', code => reject(new Error(`the runtime ended with ${code}: ${this.log.join('')}`)));
    });
  }

  #disconnect(): void {
    this.#runtime?.close();
    this.#images?.close();
    this.#runtime = undefined;
    this.#images = undefined;
  }

  /** Ends the process in the given way; its containers stay. Resolves with its exit code: null when the signal ended it. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    this.#disconnect();
    const child = this.#process;
    if (!child || child.exitCode !== null || child.signalCode !== null) return child?.exitCode ?? null;
    const ended = new Promise<number | null>(resolve => child.once('exit', resolve));
    child.kill(signal);
    return ended;
  }

  /** Puts an image into the store without the runtime. */
  async loadImage(image: ImageDescription = busyboxImage()): Promise<void> {
    const layout = fs.mkdtempSync(path.join(this.directory, 'layout-'));
    await writeOciLayout(layout, image);
    const { status, stderr } = spawnSync(
      process.execPath,
      [builtProgram('runtime'), 'load', '--image-store', path.join(this.directory, 'kept/images'), layout],
      { encoding: 'utf8' },
    );
    if (status !== 0) throw new Error(stderr);
  }

  /** Runs a command in the mount namespace of the runtime. */
  inside(command: string, ...args: string[]): string {
    return spawnSync('nsenter', ['--mount', '--target', String(this.#holder?.pid), command, ...args], {
      encoding: 'utf8',
    }).stdout;
  }

  /** What runs of a program with a path of this runtime among its arguments: their command lines. */
  processes(program: string): string[] {
    const { stdout } = spawnSync('sh', ['-c', 'for p in /proc/[0-9]*/cmdline; do tr "\\0\\n" "  " < $p; echo; done'], {
      encoding: 'utf8',
    });
    return stdout.split('\n').filter(line => line.startsWith(program) && line.includes(this.directory));
  }

  /** The OCI runtimes, by name, that hold a container. */
  holders(containerId: string): string[] {
    const conmon = this.processes('conmon').find(line => line.includes(containerId)) ?? '';
    return (/--runtime (\S+)/.exec(conmon)?.[1] ?? '').split('/').slice(-1);
  }

  /** What must be gone after everything has been removed: mounts, cgroups, links and addresses of pods, files. */
  leftovers(): string[] {
    const mounts = this.inside('cat', '/proc/self/mountinfo')
      .split('\n')
      .filter(line => line.includes(this.directory));
    const cgroups = spawnSync('find', ['/sys/fs/cgroup', '-type', 'd', '-path', `*${this.cgroup}/*`], {
      encoding: 'utf8',
    })
      .stdout.split('\n')
      .filter(Boolean);
    const list = (place: string): string[] =>
      fs.existsSync(path.join(this.directory, place))
        ? fs.readdirSync(path.join(this.directory, place)).map(name => `${place}/${name}`)
        : [];
    const addresses = list('ipam/naru-test').filter(name => !/lock|last_reserved/.test(name));
    return [
      ...mounts,
      ...cgroups,
      ...addresses,
      ...[
        'kept/root/sandboxes',
        'kept/root/containers',
        'run/state/sandboxes',
        'run/state/containers',
        'run/state/exits',
        'run/state/execs',
        'run/state/oci',
      ].flatMap(list),
    ];
  }

  /** Removes every pod. */
  async removeAll(): Promise<void> {
    const { items } = await call(this.runtime, this.runtime.listPodSandbox, { filter: undefined });
    for (const { id } of items) await call(this.runtime, this.runtime.removePodSandbox, { podSandboxId: id });
  }

  async close(): Promise<void> {
    if (this.#process && this.#process.exitCode === null && this.#process.signalCode === null)
      await this.removeAll().catch(() => undefined);
    await this.stop();
    for (const place of spawnSync('find', ['/sys/fs/cgroup', '-depth', '-type', 'd', '-path', `*${this.cgroup}*`], {
      encoding: 'utf8',
    })
      .stdout.split('\n')
      .filter(Boolean)) {
      try {
        fs.rmdirSync(place);
      } catch {
        // A process is still in it; the machine's next clean-up gets it.
      }
    }
    this.#holder?.kill('SIGKILL');
    fs.rmSync(this.directory, { recursive: true, force: true });
    this.#network?.release();
  }

  sandboxConfig(name: string, changes: Record<string, unknown> = {}): cri.PodSandboxConfig {
    return cri.PodSandboxConfig.fromPartial({
      metadata: { name, namespace: 'default', uid: `uid-${name}`, attempt: 0 },
      hostname: name,
      logDirectory: path.join(this.directory, 'logs', name),
      dnsConfig: { servers: ['10.96.0.10'], searches: ['default.svc.cluster.local'], options: ['ndots:5'] },
      labels: { app: name },
      linux: { securityContext: { namespaceOptions: { pid: cri.NamespaceMode.CONTAINER } } },
      ...changes,
    });
  }

  async runSandbox(config: cri.PodSandboxConfig, runtimeHandler = ''): Promise<string> {
    return (await call(this.runtime, this.runtime.runPodSandbox, { config, runtimeHandler })).podSandboxId;
  }

  async createContainer(
    podSandboxId: string,
    sandboxConfig: cri.PodSandboxConfig,
    changes: Record<string, unknown>,
  ): Promise<string> {
    const config = cri.ContainerConfig.fromPartial({
      metadata: { name: 'main', attempt: 0 },
      image: { image: 'busybox:test' },
      logPath: 'main/0.log',
      linux: { securityContext: { namespaceOptions: { pid: cri.NamespaceMode.CONTAINER } } },
      ...changes,
    });
    return (await call(this.runtime, this.runtime.createContainer, { podSandboxId, config, sandboxConfig }))
      .containerId;
  }

  /** A sandbox with one running container. */
  async runPod(
    name: string,
    container: Record<string, unknown>,
    sandbox: Record<string, unknown> = {},
    runtimeHandler = '',
  ): Promise<{ sandboxId: string; containerId: string; config: cri.PodSandboxConfig }> {
    const config = this.sandboxConfig(name, sandbox);
    const sandboxId = await this.runSandbox(config, runtimeHandler);
    const containerId = await this.createContainer(sandboxId, config, container);
    await call(this.runtime, this.runtime.startContainer, { containerId });
    return { sandboxId, containerId, config };
  }

  async containerStatus(containerId: string): Promise<cri.ContainerStatus> {
    const { status } = await call(this.runtime, this.runtime.containerStatus, { containerId, verbose: false });
    if (!status) throw new Error('the answer has no status');
    return status;
  }

  /** Waits until a container has ended. */
  async exited(containerId: string): Promise<cri.ContainerStatus> {
    return eventually(async () => {
      const status = await this.containerStatus(containerId);
      if (status.state !== cri.ContainerState.CONTAINER_EXITED) throw new Error('the container has not ended');
      return status;
    });
  }

  async exec(containerId: string, ...cmd: string[]): Promise<{ stdout: string; stderr: string; exitCode: number }> {
    const { stdout, stderr, exitCode } = await call(this.runtime, this.runtime.execSync, {
      containerId,
      cmd,
      timeout: 120n,
    });
    return { stdout: Buffer.from(stdout).toString('utf8'), stderr: Buffer.from(stderr).toString('utf8'), exitCode };
  }

  /** The container's log, once it holds some text. */
  async logWith(name: string, text: string | RegExp): Promise<string> {
    return eventually(() => {
      const log = fs.readFileSync(path.join(this.directory, 'logs', name, 'main/0.log'), 'utf8');
      if (typeof text === 'string' ? !log.includes(text) : !text.test(log))
        throw new Error(`the log has no ${String(text)}: ${log}`);
      return log;
    });
  }
}
