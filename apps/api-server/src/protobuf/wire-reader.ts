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
/** So many, 7 bits each, fit exactly into a number. */
const smallBytes = 7;

/** A varint, and where it ends. The first bytes, which are mostly all, without big integers: those cost tenfold. */
function readVarint(message: Uint8Array, start: number): [value: bigint, next: number] {
  let low = 0;
  let high = 0n;
  for (let i = 0; i < maxVarintBytes; i++) {
    const byte = message[start + i];
    if (byte === undefined) throw malformed();
    if (i < smallBytes) low += (byte & 0x7f) * 2 ** (7 * i);
    else high |= BigInt(byte & 0x7f) << BigInt(7 * i);
    if (byte < 0x80) return [BigInt(low) | high, start + i + 1];
  }
  throw malformed();
}

/** A packed list: varints, and nothing between them. @throws StatusError BadRequest */
export function* readPacked(bytes: Uint8Array): Generator<bigint> {
  for (let at = 0; at < bytes.length;) {
    const [value, next] = readVarint(bytes, at);
    yield value;
    at = next;
  }
}

/** Gives the fields of one message in their order. @throws StatusError BadRequest */
export function* readFields(message: Uint8Array): Generator<WireField> {
  let at = 0;
  const varint = (): bigint => {
    const [value, next] = readVarint(message, at);
    at = next;
    return value;
  };
  const take = (length: number): Uint8Array => {
    if (at + length > message.length) throw malformed();
    at += length;
    return message.subarray(at - length, at);
  };
  while (at < message.length) {
    const tag = Number(varint());
    const number = Math.floor(tag / 8);
    if (number === 0) throw malformed();
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
