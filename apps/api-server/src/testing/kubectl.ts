import { execFile, execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import type { TestServer } from './test-server';

const hasKubectl = (() => {
  try {
    execFileSync('kubectl', ['version', '--client'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
})();
if (!hasKubectl && process.env['CI']) throw new Error('kubectl is missing, and CI must not skip this test');

/** `describe`, or nothing on a machine without kubectl. */
export const describeKubectl = hasKubectl ? describe : describe.skip;

const run = promisify(execFile);
const timeoutMs = 150_000;

/** The real kubectl, as the administrator of a test server. */
export class Kubectl {
  constructor(private readonly api: TestServer) {}

  get environment(): NodeJS.ProcessEnv {
    return { ...process.env, KUBECONFIG: this.api.files.kubeconfig, HOME: this.api.folder };
  }

  /** What it prints. @throws with stdout and stderr when it fails */
  async run(args: readonly string[], environment: NodeJS.ProcessEnv = {}): Promise<{ stdout: string; stderr: string }> {
    const env = { ...this.environment, ...environment };
    return run('kubectl', args, { env, timeout: timeoutMs, maxBuffer: 64 * 1024 * 1024 });
  }

  async ask(...args: readonly string[]): Promise<string> {
    return (await this.run(args)).stdout;
  }

  /** What it complains of; of a run that does not fail, "". */
  async complaint(...args: readonly string[]): Promise<string> {
    try {
      await this.run(args);
      return '';
    } catch (error) {
      return (error as { stderr?: string }).stderr || String(error);
    }
  }

  /** The path of a file with this content. */
  file(name: string, content: string | object): string {
    const at = path.join(this.api.folder, name);
    writeFileSync(at, typeof content === 'string' ? content : JSON.stringify(content));
    return at;
  }
}
