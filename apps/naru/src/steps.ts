/** Prints what is being done, ticked with its time when it is done. */
export class Steps {
  private readonly begun = Date.now();
  private readonly live = process.stdout.isTTY === true;

  /** Runs one step. A string that `work` answers is printed beside the title. Failures are marked and passed on. */
  async run<T>(title: string, work: () => Promise<T> | T): Promise<T> {
    const from = Date.now();
    if (this.live) process.stdout.write(`  … ${title}`);
    try {
      const result = await work();
      this.line('✓', typeof result === 'string' && result ? `${title}: ${result}` : title, Date.now() - from);
      return result;
    } catch (error) {
      this.line('✗', title, Date.now() - from);
      throw error;
    }
  }

  /** Seconds since the first step, for the closing line. */
  get elapsed(): string {
    return seconds(Date.now() - this.begun);
  }

  private line(mark: string, text: string, ms: number): void {
    process.stdout.write(
      `${this.live ? '\r\x1b[K' : ''}  ${mark} ${text} ${seconds(ms).padStart(Math.max(1, 60 - text.length))}\n`,
    );
  }
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
