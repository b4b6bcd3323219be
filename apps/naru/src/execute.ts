import { execFile } from 'node:child_process';

/** A command that failed; the message is its last words. */
export class CommandError extends Error {
  constructor(
    readonly command: string[],
    readonly exitCode: number | string,
    readonly stderr: string,
  ) {
    super(`${command.join(' ')} failed (${exitCode}): ${stderr.trim() || 'it said nothing'}`);
  }
}

/** Runs a command to its end and answers with its output. Rejects with CommandError; ends it after `timeoutMs` (30 s). */
export function execute(
  command: string[],
  { input, timeoutMs = 30_000 }: { input?: string; timeoutMs?: number } = {},
): Promise<string> {
  const [file = '', ...args] = command;
  return new Promise((resolve, reject) => {
    const child = execFile(file, args, { timeout: timeoutMs, maxBuffer: 16 * 1024 * 1024 }, (error, stdout, stderr) => {
      if (error) reject(new CommandError(command, error.code ?? error.signal ?? 1, stderr || error.message));
      else resolve(stdout);
    });
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(input ?? '');
  });
}

/** As `execute`; answers false instead of failing. */
export async function succeeds(command: string[]): Promise<boolean> {
  return execute(command).then(
    () => true,
    () => false,
  );
}
