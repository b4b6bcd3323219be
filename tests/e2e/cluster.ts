import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';

/**
 * The cluster that all end-to-end tests share: brought up by cluster-up.ts beside whatever other Naru cluster runs on
 * this machine, with ports and node addresses of its own. NARU_E2E_REUSE=1 keeps it for the next run, and with
 * NARU_E2E_CLUSTER it may be another one that is up.
 */
export const repository = path.resolve(__dirname, '../..');
const other = process.env['NARU_E2E_CLUSTER'];
export const clusterName = other ?? 'e2e';
const placement = other ? [] : ['--port-offset', '1000', '--node-cidr', '10.94.0.0/24'];
export const clusterFlags = ['--cluster', clusterName, ...placement];
export const kubeconfig = `/var/lib/naru/${clusterName}/kubeconfig`;

export interface Outcome {
  code: number;
  stdout: string;
  stderr: string;
}

export interface RunOptions {
  timeoutMs?: number;
  input?: string;
  env?: Record<string, string>;
  /** Resolve whatever the exit code is; otherwise a failure rejects with what the command printed. */
  anyCode?: boolean;
}

/** Runs a command to its end. */
export function run(command: string, args: string[], options: RunOptions = {}): Promise<Outcome> {
  const { timeoutMs = 60_000, input, env = {}, anyCode = false } = options;
  return new Promise((resolve, reject) => {
    const child = execFile(
      command,
      args,
      { cwd: repository, timeout: timeoutMs, maxBuffer: 64 * 1024 * 1024, env: { ...process.env, ...env } },
      (error, stdout, stderr) => {
        const code = error ? (typeof error.code === 'number' ? error.code : 1) : 0;
        if (code !== 0 && !anyCode) {
          reject(new Error(`${command} ${args.join(' ')} ended with ${error?.signal ?? code}:\n${stdout}\n${stderr}`));
        } else resolve({ code, stdout, stderr });
      },
    );
    // A command that ends without reading its input is no failure of the command.
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(input ?? '');
  });
}

export function naru(args: string[], options: RunOptions = {}): Promise<Outcome> {
  return run(path.join(repository, 'naru'), [...args, ...clusterFlags], { timeoutMs: 300_000, ...options });
}

/** The real kubectl against the shared cluster. */
export function kubectl(args: string[], options: RunOptions = {}): Promise<Outcome> {
  return run('kubectl', args, { ...options, env: { KUBECONFIG: kubeconfig, ...options.env } });
}

/** What kubectl prints, without the last line break. */
export async function ask(...args: string[]): Promise<string> {
  return (await kubectl(args)).stdout.trim();
}

export async function askJson<T>(...args: string[]): Promise<T> {
  return JSON.parse(await ask(...args, '-o', 'json')) as T;
}

/** Applies manifests given as text. */
export function apply(manifest: string, ...args: string[]): Promise<Outcome> {
  return kubectl(['apply', '-f', '-', ...args], { input: manifest });
}

/** A kubectl that keeps running (logs -f, port-forward), with what it has printed so far. */
export function follow(args: string[]): { child: ChildProcess; output: () => string } {
  const child = spawn('kubectl', args, { env: { ...process.env, KUBECONFIG: kubeconfig } });
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (text += chunk.toString()));
  return { child, output: () => text };
}

/** A namespace of the test's own, removed at its end. */
export async function withNamespace(name: string, body: (namespace: string) => Promise<void>): Promise<void> {
  await kubectl(['create', 'namespace', name]);
  try {
    await body(name);
  } finally {
    await kubectl(['delete', 'namespace', name, '--wait=false'], { anyCode: true });
  }
}

export interface Process {
  name: string;
  pid: number;
  node?: string;
}

export function clusterExists(): boolean {
  return existsSync(kubeconfig);
}
