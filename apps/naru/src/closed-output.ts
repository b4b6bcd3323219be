import type { Writable } from 'node:stream';

/** Ends the program, as a signal would, when whoever reads its output has left: `naru status | head -1`. */
export function endWithReader(output: Writable, exit: (code: number) => void): void {
  output.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    // 128 + SIGPIPE, which Node ignores: what a shell reports of any program in this place.
    exit(141);
  });
}
