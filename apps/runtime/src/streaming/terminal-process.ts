import type { TerminalSize } from '@naru/streaming';
import { EndMark } from './end-mark';

/**
 * A terminal that hangs up loses what has not been read of it: libuv takes the hangup for the end after any read that has not filled
 * its buffer, node-pty closes 200 ms after the command's end, and the error of a terminal that is gone ends a paused stream at once.
 * So a shell that holds the terminal open runs the command and writes a mark behind its output; it is ended when that has been read.
 * Keys that interrupt, before the command makes the terminal raw and after it has put it back, do not end the shell.
 */
const script = 'trap : INT QUIT TSTP; mark=$1; shift; "$@"; printf "%s%d;" "$mark" "$?"; exec sleep infinity';

export interface TerminalProcess {
  write(data: Buffer): unknown;
  resize(size: TerminalSize): unknown;
  /** The exit code, 128 + signal number when a signal ended the command. Resolves when all output has been taken. */
  readonly ended: Promise<number>;
}

/** Runs a command on a terminal of its own. Of its output the next piece is read when `take` has resolved for the last one. */
export async function runOnTerminal(
  program: string,
  args: readonly string[],
  take: (output: Buffer) => Promise<void>,
): Promise<TerminalProcess> {
  // A native module that only terminals need: not loaded before.
  const { spawn } = await import('@lydell/node-pty');
  const mark = new EndMark();
  let isOpen = true;
  const terminal = spawn('sh', ['-c', script, 'sh', mark.text, program, ...args], {
    name: 'xterm',
    cols: 80,
    rows: 24,
    encoding: null,
  });
  const ended = new Promise<number>(resolve => {
    let taken = Promise.resolve();
    // When the shell itself is killed there is no mark.
    terminal.onExit(({ exitCode, signal }) => {
      isOpen = false;
      void taken.then(() => resolve(signal ? 128 + signal : exitCode));
    });
    terminal.onData(data => {
      terminal.pause();
      const { output, exitCode } = mark.take(data as unknown as Buffer); // bytes, for want of an encoding; the types do not say so
      taken = taken
        .then(() => (output.length > 0 ? take(output) : undefined))
        .then(() => {
          terminal.resume();
          if (exitCode === undefined) return;
          isOpen = false;
          resolve(exitCode);
          terminal.kill('SIGKILL');
        });
    });
  });
  return {
    ended,
    write: data => isOpen && terminal.write(data as unknown as string), // it takes bytes too
    // By then the descriptor may be another terminal's.
    resize: ({ width, height }) => isOpen && terminal.resize(width, height),
  };
}
