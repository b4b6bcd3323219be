import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';

/**
 * The cluster that all end-to-end tests share: brought up by cluster-up.ts beside whatever other Naru cluster runs on
 * this machine, with ports and node addresses of its own. NARU_E2E_REUSE=1 keeps it for the next run, and with
 * NARU_E2E_CLUSTER it may be another one that is up. NARU_E2E_RUNTIME=containerd gives its nodes containerd.
 */
export const repository = path.resolve(__dirname, '../..');
const other = process.env['NARU_E2E_CLUSTER'];
export const clusterName = other ?? 'e2e';
const placement = other ? [] : ['--port-offset', '1000', '--node-cidr', '10.94.0.0/24'];
/** By which its nodes know this machine, when cluster-up.ts has brought it up. */
export const machineAddress = other ? '10.95.0.1' : '10.94.0.1';
export const clusterFlags = ['--cluster', clusterName, ...placement];
/** The CRI runtime of its nodes, by the name of its process. */
export const runtimeProcess = process.env['NARU_E2E_RUNTIME'] === 'containerd' ? 'containerd' : 'runtime';
/** Gives the nodes of a new cluster that runtime. */
export const runtimeFlags = runtimeProcess === 'containerd' ? ['--container-runtime', 'containerd'] : [];
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
  const { timeoutMs = 180_000, input, env = {}, anyCode = false } = options;
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

/** How tests speak to one cluster. */
export interface ClusterAccess {
  naru(args: string[], options?: RunOptions): Promise<Outcome>;
  /** The real kubectl. */
  kubectl(args: string[], options?: RunOptions): Promise<Outcome>;
  /** What kubectl prints, without the last line break. */
  ask(...args: string[]): Promise<string>;
  askJson<T>(...args: string[]): Promise<T>;
  /** Applies manifests given as text. */
  apply(manifest: string, ...args: string[]): Promise<Outcome>;
  /** A kubectl that keeps running (logs -f, port-forward), with what it has printed so far. */
  follow(args: string[]): { child: ChildProcess; output: () => string };
}

/** `flags` name the cluster to `naru`. */
export function accessTo(cluster: string, flags: string[]): ClusterAccess {
  const access = { KUBECONFIG: `/var/lib/naru/${cluster}/kubeconfig` };
  const kubectl: ClusterAccess['kubectl'] = (args, options = {}) =>
    run('kubectl', args, { ...options, env: { ...access, ...options.env } });
  const ask: ClusterAccess['ask'] = async (...args) => (await kubectl(args)).stdout.trim();
  return {
    kubectl,
    ask,
    naru: (args, options) =>
      run(path.join(repository, 'naru'), [...args, ...flags], { timeoutMs: 300_000, ...options }),
    askJson: async <T>(...args: string[]) => JSON.parse(await ask(...args, '-o', 'json')) as T,
    apply: (manifest, ...args) => kubectl(['apply', '-f', '-', ...args], { input: manifest }),
    follow: args => {
      const child = spawn('kubectl', args, { env: { ...process.env, ...access } });
      let text = '';
      child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
      child.stderr.on('data', (chunk: Buffer) => (text += chunk.toString()));
      return { child, output: () => text };
    },
  };
}

/** Access to the shared cluster. */
export const { naru, kubectl, ask, askJson, apply, follow } = accessTo(clusterName, clusterFlags);

/** A namespace in which pods may be made: they are refused until it has its service account. */
export async function createNamespace(name: string): Promise<void> {
  await kubectl(['create', 'namespace', name]);
  await kubectl(['-n', name, 'wait', '--for=create', 'serviceaccount/default', '--timeout=120s']);
}

/** A namespace of the test's own, removed at its end. */
export async function withNamespace(name: string, body: (namespace: string) => Promise<void>): Promise<void> {
  await createNamespace(name);
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
