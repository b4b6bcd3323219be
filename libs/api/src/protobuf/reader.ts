/** Bytes that are no protobuf message. */
export class ProtobufError extends Error {}

/** Reads the protobuf wire format from `bytes`. Source: protobuf.dev/programming-guides/encoding. */
export class Reader {
  #at = 0;

  constructor(private readonly bytes: Uint8Array) {}

  get done(): boolean {
    return this.#at >= this.bytes.length;
  }

  /** A 64-bit two's complement number; beyond 2^53 it loses digits, which the decoder then refuses. */
  varint(): number {
    let low = 0;
    let high = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = this.bytes[this.#at++];
      if (byte === undefined) throw new ProtobufError('unexpected EOF');
      const bits = byte & 0x7f;
      if (shift < 28) low |= bits << shift;
      else if (shift === 28) {
        low |= (bits & 0x0f) << 28;
        high = bits >>> 4;
      } else if (shift < 63) high |= bits << (shift - 32);
      else high |= (bits & 1) << 31;
      if (byte < 0x80) return (high | 0) * 2 ** 32 + (low >>> 0);
    }
    throw new ProtobufError('proto: integer overflow');
  }

  chunk(): Uint8Array {
    const length = this.varint();
    const end = this.#at + length;
    if (length < 0 || end > this.bytes.length) throw new ProtobufError('unexpected EOF');
    const chunk = this.bytes.subarray(this.#at, end);
    this.#at = end;
    return chunk;
  }

  text(): string {
    const chunk = this.chunk();
    return Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength).toString();
  }

  double(): number {
    const view = this.#fixed(8);
    return view.getFloat64(0, true);
  }

  skip(wireType: number): void {
    if (wireType === 0) this.varint();
    else if (wireType === 1) this.#fixed(8);
    else if (wireType === 2) this.chunk();
    else if (wireType === 5) this.#fixed(4);
    else throw new ProtobufError(`proto: illegal wireType ${wireType}`);
  }

  #fixed(size: number): DataView {
    if (this.#at + size > this.bytes.length) throw new ProtobufError('unexpected EOF');
    const view = new DataView(this.bytes.buffer, this.bytes.byteOffset + this.#at, size);
    this.#at += size;
    return view;
  }
}
