/** What a shell answers for a program that it does not find. */
const notFound = 127;

/** A program ended with a failure, or could not be started. `stderr` is its own words, at most 4 KB. */
export class CommandError extends Error {
  constructor(
    readonly program: string,
    readonly exitCode: number | undefined,
    readonly stderr: string,
    options?: { cause: unknown },
  ) {
    super(`${program} failed${exitCode === undefined ? '' : ` with exit code ${exitCode}`}: ${stderr}`, options);
    this.name = 'CommandError';
  }

  /** True when the program is not installed. */
  get missing(): boolean {
    return this.exitCode === notFound;
  }
}

/**
 * Runs a program to its end and answers its standard output. `stdin`: lines, of which the last is ended if it is not. Fails with
 * CommandError.
 */
export type CommandRunner = (program: string, args: readonly string[], stdin?: string) => Promise<string>;
