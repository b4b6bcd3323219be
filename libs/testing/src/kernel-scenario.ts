import fs from 'node:fs';
import path from 'node:path';
import type { KernelScriptOptions } from './kernel-script';
import { runInUserModeLinux } from './user-mode-linux';

export interface KernelScenarioOptions extends Omit<KernelScriptOptions, 'script'> {
  /** Which kernel; default: user-mode Linux. */
  run?: (options: KernelScriptOptions) => Promise<string>;
  /** A program in TypeScript, which makes its checks by `checkInScenario` and ends. */
  entry: string;
  /** Of the program. */
  arguments?: readonly string[];
  /** Lines of shell before it. */
  prepare?: string;
  /** Where its bundle is put: below a repository, as it finds modules that are not bundled there. */
  dist: string;
}

/** Makes one check of a scenario; its outcome goes to standard output as a line of JSON. */
export async function checkInScenario(name: string, work: () => Promise<unknown>): Promise<void> {
  let error: string | undefined;
  try {
    await work();
  } catch (caught) {
    error = caught instanceof Error ? (caught.stack ?? caught.message) : String(caught);
  }
  process.stdout.write(`${JSON.stringify({ name, error })}\n`);
}

/** Runs what a scenario's program does, and ends the process with it, whatever it has left open. */
export function runScenario(main: () => Promise<void>): void {
  main().then(
    () => process.exit(0),
    (error: unknown) => {
      console.error(error);
      process.exit(1);
    },
  );
}

/** Runs a scenario in a kernel of its own. What it answers tells for each check why it failed, undefined when it did not. */
export async function runKernelScenario(
  options: KernelScenarioOptions,
): Promise<(check: string) => string | undefined> {
  const { run = runInUserModeLinux, entry, prepare = '', dist, arguments: parameters = [], ...rest } = options;
  const { buildSync } = await import('esbuild');
  fs.mkdirSync(dist, { recursive: true });
  const directory = fs.mkdtempSync(path.join(dist, 'scenario-'));
  try {
    const outfile = path.join(directory, 'scenario.js');
    const external = ['esbuild'];
    buildSync({ entryPoints: [entry], outfile, bundle: true, platform: 'node', external, logLevel: 'error' });
    const script = `${prepare}\n${[process.execPath, outfile, ...parameters].join(' ')}`;
    const output = await run({ ...rest, script });
    const results = new Map<string, string | undefined>();
    for (const line of output.split('\n').filter(text => text.startsWith('{"name":'))) {
      const { name, error } = JSON.parse(line) as { name: string; error?: string };
      results.set(name, error);
    }
    return check => (results.has(check) ? results.get(check) : output);
  } finally {
    fs.rmSync(directory, { recursive: true });
  }
}
