const encoder = new TextEncoder();

/** Writes one protobuf message; nested messages are written by another writer and added as bytes. */
export class ProtobufWriter {
  #chunk = Buffer.allocUnsafe(256);
  #length = 0;

  /** An empty string is proto3's default, which is not written. */
  text(field: number, value: string): void {
    if (value !== '') this.bytes(field, encoder.encode(value));
  }

  bool(field: number, value: boolean): void {
    if (!value) return;
    this.#varint(field * 8);
    this.#varint(1);
  }

  /** A whole number that is not negative. */
  integer(field: number, value: number): void {
    if (value === 0) return;
    this.#varint(field * 8);
    this.#varint(value);
  }

  double(field: number, value: number): void {
    if (value === 0) return;
    this.#varint(field * 8 + 1);
    this.#reserve(8);
    this.#length = this.#chunk.writeDoubleLE(value, this.#length);
  }

  /** A string, or a message as its bytes: also an empty one, whose presence counts. */
  bytes(field: number, value: Uint8Array): void {
    this.#varint(field * 8 + 2);
    this.#varint(value.length);
    this.#reserve(value.length);
    this.#chunk.set(value, this.#length);
    this.#length += value.length;
  }

  finish(): Buffer {
    return this.#chunk.subarray(0, this.#length);
  }

  #varint(value: number): void {
    this.#reserve(10);
    let rest = value;
    for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) this.#chunk[this.#length++] = (rest % 0x80) | 0x80;
    this.#chunk[this.#length++] = rest;
  }

  #reserve(bytes: number): void {
    const needed = this.#length + bytes;
    if (needed <= this.#chunk.length) return;
    const larger = Buffer.allocUnsafe(Math.max(needed, this.#chunk.length * 2));
    this.#chunk.copy(larger, 0, 0, this.#length);
    this.#chunk = larger;
  }
}
