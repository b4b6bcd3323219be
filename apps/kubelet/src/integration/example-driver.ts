import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { eventually } from '@naru/testing';
import { nodeName, type TestNode } from './test-node';

const repository = path.resolve(__dirname, '../../../..');
export const driverName = 'hostpath.csi.naru.dev';

/** The driver of examples/csi-driver on a test's node; its volumes are in the node's folder `csi`. */
export class ExampleDriver {
  private process: ChildProcess | undefined;
  /** What it has said since it was started last. */
  log = '';

  constructor(private readonly node: TestNode) {}

  static build(): void {
    execFileSync('node', [path.join(repository, 'examples/csi-driver/build.mjs')]);
  }

  async start(): Promise<void> {
    const data = this.node.file('csi');
    fs.mkdirSync(data, { recursive: true });
    const env = { ...process.env, NODE_NAME: nodeName, KUBELET_DIR: this.node.rootDir, DATA_DIR: data };
    const child = spawn('node', [path.join(repository, 'dist/examples/csi-driver/driver.js')], { env });
    for (const stream of [child.stdout, child.stderr]) stream.on('data', chunk => (this.log += String(chunk)));
    this.process = child;
    await eventually(() => expect(this.log).toMatch(/^registered$/m));
  }

  /** Waits until it has said so: what it says comes on another way than what it answers. */
  said(what: string | RegExp): Promise<void> {
    return eventually(() => expect(this.log).toMatch(what));
  }

  async stop(): Promise<void> {
    const child = this.process;
    if (child?.exitCode !== null) return;
    const ending = new Promise(resolve => child.once('exit', resolve));
    child.kill('SIGTERM');
    await ending;
    this.log = '';
  }
}
