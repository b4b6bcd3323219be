/** What a program has printed, up to a mark with its exit code that its shell prints after it: `MARK 003`. */
export class MarkedOutput {
  private readonly endLength: number;
  private readonly pattern: RegExp;
  private kept = '';
  private length = 0;
  private tail = '';
  private code: number | undefined;

  /** `limit`: of characters that are kept, the first ones. */
  constructor(
    mark: string,
    private readonly limit: number,
  ) {
    this.endLength = `${mark} 000\n`.length;
    this.pattern = new RegExp(`^${mark} (\\d{3})\n$`);
  }

  add(text: string): void {
    this.kept += text.slice(0, this.limit - this.kept.length);
    this.length += text.length;
    this.tail = (this.tail + text).slice(-this.endLength);
    const found = this.pattern.exec(this.tail)?.[1];
    if (found !== undefined) this.code = Number(found);
  }

  /** Undefined before the mark. */
  get exitCode(): number | undefined {
    return this.code;
  }

  get isTooLong(): boolean {
    return this.length > this.limit;
  }

  /** Without the mark. */
  get text(): string {
    return this.code === undefined ? this.kept : this.kept.slice(0, this.length - this.endLength);
  }
}
