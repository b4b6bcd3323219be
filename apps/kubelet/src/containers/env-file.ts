/** Finds a variable in the text of a file, which upstream reads more strictly than a shell: NAME='value', and nothing else. */
class EnvFileReader {
  private at = 0;

  constructor(private readonly text: string) {}

  find(key: string): string | undefined {
    while (this.skipBlank()) {
      const name = this.name();
      const value = this.value();
      if (name === key) return value;
    }
    return undefined;
  }

  /** Leaves out empty lines and comments; false at the end. */
  private skipBlank(): boolean {
    const blank = /(?:[ \t\r\n]+|#[^\n]*)*/y;
    blank.lastIndex = this.at;
    this.at += blank.exec(this.text)?.[0].length ?? 0;
    return this.at < this.text.length;
  }

  private name(): string {
    const end = this.text.indexOf('=', this.at);
    const name = end < 0 ? '' : this.text.slice(this.at, end);
    if (name === '' || name.includes('\n')) throw this.fault('');
    if (/\s$/.test(name)) throw this.fault(": whitespace before '=' is not allowed");
    this.at = end + 1;
    return name;
  }

  /** Literally what is between the quotes, over several lines if need be. */
  private value(): string {
    if (this.text[this.at] !== "'") throw this.fault(': value must be enclosed in single quotes');
    const end = this.text.indexOf("'", this.at + 1);
    if (end < 0) throw this.fault(': unclosed single quote');
    const value = this.text.slice(this.at + 1, end);
    this.at = end + 1;
    const rest = /[^\n]*/y;
    rest.lastIndex = this.at;
    const after = rest.exec(this.text)?.[0] ?? '';
    if (!/^(\s*|\s+#.*)$/.test(after)) throw this.fault(': unexpected content after closing quote');
    this.at += after.length;
    return value;
  }

  private fault(why: string): Error {
    const line = this.text.slice(0, this.at).split('\n').length;
    return new Error(`invalid environment variable format at line ${line}${why}`);
  }
}

/**
 * The value of a variable in a file; undefined when it is not there. Throws when something before it makes no sense.
 * Source: pkg/kubelet/util/env of v1.36.
 */
export function findInEnvFile(text: string, key: string): string | undefined {
  return new EnvFileReader(text).find(key);
}
