import { badRequest } from '../objects/failures';

export const malformed = () => badRequest('the object provided is not valid protobuf');
const maxVarintBytes = 10;
/** So many, 7 bits each, fit exactly into a number. */
const smallBytes = 7;

/**
 * Goes through the fields of one message in their order. A large message has a million of them, in which nobody else is
 * served: nothing is made for a field but what its value needs.
 */
export class WireReader {
  /** Of the current field. */
  number = 0;
  /** Of varints and fixed numbers; a fixed one of 64 bits counts as a double, as Kubernetes has no others. */
  value = 0;
  /** A string, bytes or a message, which lie from `from` to `to`. */
  hasBytes = false;
  private from = 0;
  private to = 0;

  constructor(
    private readonly bytes: Buffer,
    private at = 0,
    private readonly end = bytes.length,
  ) {}

  /** Goes to the next field; false: there is none. @throws StatusError BadRequest */
  next(): boolean {
    if (this.at >= this.end) return false;
    const tag = this.varint();
    this.number = Math.floor(tag / 8);
    if (this.number <= 0) throw malformed();
    const type = tag % 8;
    this.hasBytes = type === 2;
    if (type === 0) this.value = this.varint();
    else if (type === 1) this.value = this.bytes.readDoubleLE(this.take(8));
    else if (type === 2) {
      const length = this.varint();
      this.from = this.take(length);
      this.to = this.at;
    } else if (type === 5) this.value = this.bytes.readUInt32LE(this.take(4));
    else throw malformed();
    return true;
  }

  /** Goes on to the first field with this number. */
  find(number: number): this | undefined {
    while (this.next()) if (this.number === number) return this;
    return undefined;
  }

  /** The fields within the current one; of a number, none. */
  inner(): WireReader {
    return this.hasBytes ? new WireReader(this.bytes, this.from, this.to) : new WireReader(this.bytes, 0, 0);
  }

  get length(): number {
    return this.hasBytes ? this.to - this.from : 0;
  }

  text(): string {
    if (!this.hasBytes) throw malformed();
    return this.bytes.toString('utf8', this.from, this.to);
  }

  base64(): string {
    return this.bytes.toString('base64', this.from, this.to);
  }

  /** Goes through the current field as a packed list: varints, and nothing between them. */
  *packed(): Generator<number> {
    const list = new WireReader(this.bytes, this.from, this.to);
    while (list.at < list.end) yield list.varint();
  }

  /** Where the bytes that are taken begin. */
  private take(length: number): number {
    const start = this.at;
    if (length < 0 || start + length > this.end) throw malformed();
    this.at += length;
    return start;
  }

  /** Signed, of 64 bits. The first bytes, which are mostly all, without big integers: those cost tenfold. */
  private varint(): number {
    let low = 0;
    let high = 0n;
    let factor = 1;
    for (let i = 0; i < maxVarintBytes && this.at < this.end; i++) {
      const byte = this.bytes[this.at++]!;
      if (i < smallBytes) low += (byte & 0x7f) * factor;
      else high |= BigInt(byte & 0x7f) << BigInt(7 * i);
      factor *= 128;
      if (byte < 0x80) return i < smallBytes ? low : Number(BigInt.asIntN(64, BigInt(low) | high));
    }
    throw malformed();
  }
}
