import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { busyboxImage, eventually, writeOciLayout, type ImageDescription } from '@naru/testing';

const pauseImage = 'naru.test/pause:1';

export interface ContainerdOptions {
  directory: string;
  /** File of the network namespace that it runs in. */
  netns: string;
  streamAddress: string;
  cniConfDir: string;
  image: string;
}

/** Debian's containerd with everything of its own, as another CRI runtime for tests. */
export class Containerd {
  private process: ChildProcess | undefined;

  constructor(private readonly options: ContainerdOptions) {}

  get socket(): string {
    return path.join(this.options.directory, 'containerd.sock');
  }

  private at(name: string): string {
    return path.join(this.options.directory, name);
  }

  async start(): Promise<void> {
    const { netns } = this.options;
    fs.mkdirSync(this.options.directory, { recursive: true });
    fs.writeFileSync(this.at('config.toml'), this.config());
    const log = fs.openSync(this.at('log'), 'a');
    const argv = [`--net=${netns}`, 'containerd', '--config', this.at('config.toml')];
    this.process = spawn('nsenter', argv, { stdio: ['ignore', log, log] });
    await eventually(() => this.ctr('version'));
    await this.import(busyboxImage(this.options.image), this.options.image);
    const pause: ImageDescription = {
      config: { Entrypoint: ['/pause', '-P'] },
      layers: [[{ name: 'pause', content: fs.readFileSync('/usr/bin/catatonit'), mode: 0o755 }]],
    };
    await this.import(pause, pauseImage);
  }

  /** Containers and their shims are gone before: it leaves nothing but its files. */
  async stop(): Promise<void> {
    const { process: child } = this;
    if (!child || child.exitCode !== null) return;
    const ended = new Promise(resolve => child.once('exit', resolve));
    child.kill('SIGTERM');
    await ended;
  }

  private ctr(...args: string[]): void {
    execFileSync('ctr', ['--address', this.socket, '--namespace', 'k8s.io', ...args], { stdio: 'pipe' });
  }

  private async import(image: ImageDescription, name: string): Promise<void> {
    const layout = fs.mkdtempSync(this.at('layout-'));
    await writeOciLayout(layout, { ...image, name: 'latest' });
    const archive = `${layout}.tar`;
    execFileSync('skopeo', [
      '--insecure-policy',
      'copy',
      '-q',
      `oci:${layout}:latest`,
      `docker-archive:${archive}:${name}`,
    ]);
    this.ctr('images', 'import', archive);
  }

  private config(): string {
    const { cniConfDir, streamAddress } = this.options;
    const cri = 'plugins."io.containerd.grpc.v1.cri"';
    return `
version = 2
root = "${this.at('root')}"
state = "${this.at('state')}"
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.devmapper"]
[grpc]
  address = "${this.socket}"
[${cri}]
  sandbox_image = "${pauseImage}"
  restrict_oom_score_adj = true
  stream_server_address = "${streamAddress}"
  stream_server_port = "0"
  [${cri}.containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [${cri}.containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
  [${cri}.cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "${cniConfDir}"
`;
  }
}
