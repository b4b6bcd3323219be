import { randomBytes } from 'node:crypto';

/** No text ends with it, so that hardly ever a byte is held back. */
const recordSeparator = '\x1e';
const stop = ';';

/**
 * A mark that follows the last output of a command, with its exit code: MARK CODE `;`. It is found wherever the output is cut, and is
 * not part of it. Nobody in a container can know it.
 */
export class EndMark {
  readonly text = `${recordSeparator}${randomBytes(16).toString('hex')}`;
  readonly #mark = Buffer.from(this.text);
  #held: Buffer = Buffer.alloc(0);

  /** Takes the next piece; gives the output in it and, once the mark is whole, the exit code. */
  take(piece: Buffer): { output: Buffer; exitCode?: number } {
    const data = this.#held.length > 0 ? Buffer.concat([this.#held, piece]) : piece;
    const at = data.indexOf(this.#mark);
    const end = at < 0 ? -1 : data.indexOf(stop, at);
    const cut = at < 0 ? data.length - this.#begun(data) : at;
    this.#held = data.subarray(cut);
    const output = data.subarray(0, cut);
    if (end < 0) return { output };
    return { output, exitCode: Number(data.toString('latin1', at + this.#mark.length, end)) };
  }

  /** How many bytes at the end may be the beginning of the mark. */
  #begun(data: Buffer): number {
    const at = data.lastIndexOf(recordSeparator);
    return at >= 0 && this.#mark.indexOf(data.subarray(at)) === 0 ? data.length - at : 0;
  }
}
