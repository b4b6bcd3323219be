import { badRequest } from '../objects/failures';

/** One field as it lies on the wire: a varint, or bytes. */
export interface WireField {
  number: number;
  /** Of varints and fixed numbers. */
  value: bigint;
  /** Of strings, bytes and messages. */
  bytes: Uint8Array | undefined;
}

const malformed = () => badRequest('the object provided is not valid protobuf');
const maxVarintBytes = 10;

/** Gives the fields of one message in their order. @throws StatusError BadRequest */
export function* readFields(message: Uint8Array): Generator<WireField> {
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let i = 0; i < maxVarintBytes; i++) {
      const byte = message[at++];
      if (byte === undefined) throw malformed();
      value |= BigInt(byte & 0x7f) << BigInt(7 * i);
      if (byte < 0x80) return value;
    }
    throw malformed();
  };
  const take = (length: number): Uint8Array => {
    if (at + length > message.length) throw malformed();
    at += length;
    return message.subarray(at - length, at);
  };
  while (at < message.length) {
    const tag = Number(varint());
    const number = Math.floor(tag / 8);
    switch (tag % 8) {
      case 0:
        yield { number, value: varint(), bytes: undefined };
        break;
      case 1:
        yield { number, value: Buffer.from(take(8)).readBigUInt64LE(), bytes: undefined };
        break;
      case 2:
        yield { number, value: 0n, bytes: take(Number(varint())) };
        break;
      case 5:
        yield { number, value: BigInt(Buffer.from(take(4)).readUInt32LE()), bytes: undefined };
        break;
      default:
        throw malformed();
    }
  }
}

export function toNumber(value: bigint): number {
  return Number(BigInt.asIntN(64, value));
}

export function toText(bytes: Uint8Array | undefined): string {
  if (!bytes) throw malformed();
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString();
}

export { malformed };
