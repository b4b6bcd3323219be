import type { EncodedAnswer } from './answer';
import { flags, headerLength, types } from './codes';
import type { Query, Refusal } from './query';

/** What we accept and send by UDP: fits into every path without fragments (DNS flag day 2020). */
export const ourUdpSize = 1232;
const plainUdpSize = 512;
const optLength = 11;

/** The largest answer that a client takes by UDP. */
export function udpLimit(query: Query): number {
  return query.edns ? Math.min(Math.max(query.edns.udpSize, plainUdpSize), ourUdpSize) : plainUdpSize;
}

export interface ResponseOptions {
  /** Bytes. What does not fit is left out, and the client is told. */
  limit: number;
  /** Seconds since the answer was learnt: taken off the TTLs. */
  age: number;
  /** Which of several addresses comes first. */
  turn: number;
}

/** The reply to `packet`, whose question is given back byte for byte: clients check even its case. */
export function writeResponse(packet: Buffer, query: Query, answer: EncodedAnswer, options: ResponseOptions): Buffer {
  const { questionEnd, edns } = query;
  const room = options.limit - questionEnd - (edns ? optLength : 0);
  let { answers, authority, additional } = answer;
  let bodyLength = answer.bytes.length;
  let truncated = false;
  if (bodyLength > room) {
    const fits = recordsWithin(answer.marks, room);
    bodyLength = fits === 0 ? 0 : (answer.marks[fits * 2 - 1] as number);
    // Additional records are a courtesy; without one of the others the answer is not whole.
    truncated = fits < answers + authority;
    additional = Math.max(0, fits - answers - authority);
    authority = Math.max(0, Math.min(authority, fits - answers));
    answers = Math.min(answers, fits);
  }
  const bodyEnd = questionEnd + bodyLength;
  const reply = Buffer.allocUnsafe(bodyEnd + (edns ? optLength : 0));
  packet.copy(reply, 0, 0, questionEnd);
  writeHeader(reply, packet, answer.rcode, answer.authoritative, truncated);
  reply.writeUInt16BE(answers, 6);
  reply.writeUInt16BE(authority, 8);
  reply.writeUInt16BE(additional + (edns ? 1 : 0), 10);
  copyBody(reply, answer, questionEnd, bodyLength, options.turn);
  if (options.age > 0) ageRecords(reply, answer.marks, questionEnd, answers + authority + additional, options.age);
  if (edns) writeOpt(reply, bodyEnd, answer.rcode, edns.dnssecOk);
  return reply;
}

/** The reply to a packet that is not looked up. */
export function writeRefusal(packet: Buffer, { rcode, questionEnd, edns }: Refusal): Buffer {
  const reply = Buffer.alloc(questionEnd + (edns ? optLength : 0));
  packet.copy(reply, 0, 0, questionEnd);
  writeHeader(reply, packet, rcode, false, false);
  reply.writeUInt16BE(questionEnd > headerLength ? 1 : 0, 4);
  reply.fill(0, 6, headerLength);
  if (edns) {
    reply.writeUInt16BE(1, 10);
    writeOpt(reply, questionEnd, rcode, false);
  }
  return reply;
}

function writeHeader(reply: Buffer, packet: Buffer, rcode: number, authoritative: boolean, truncated: boolean): void {
  const asked = packet.readUInt16BE(2) & (flags.opcode | flags.recursionDesired | flags.checkingDisabled);
  reply.writeUInt16BE(
    asked |
      flags.response |
      flags.recursionAvailable |
      (authoritative ? flags.authoritative : 0) |
      (truncated ? flags.truncated : 0) |
      (rcode & 0xf),
    2,
  );
}

function writeOpt(reply: Buffer, at: number, rcode: number, dnssecOk: boolean): void {
  reply[at] = 0;
  reply.writeUInt16BE(types.OPT, at + 1);
  reply.writeUInt16BE(ourUdpSize, at + 3);
  // Upper bits of the code, version 0, DO, no options.
  reply.writeUInt32BE(((rcode >> 4) << 24) | (dnssecOk ? 0x8000 : 0), at + 5);
  reply.writeUInt16BE(0, at + 9);
}

function recordsWithin(marks: number[], room: number): number {
  let count = 0;
  while (count * 2 < marks.length && (marks[count * 2 + 1] as number) <= room) count++;
  return count;
}

function copyBody(reply: Buffer, answer: EncodedAnswer, at: number, length: number, turn: number): void {
  const { bytes, rotation } = answer;
  if (!rotation) {
    bytes.copy(reply, at, 0, length);
    return;
  }
  const block = rotation.count * rotation.stride;
  const first = (turn % rotation.count) * rotation.stride;
  const head = Math.min(block - first, length);
  bytes.copy(reply, at, first, first + head);
  const tail = Math.min(first, length - head);
  if (tail > 0) bytes.copy(reply, at + head, 0, tail);
  if (length > block) bytes.copy(reply, at + block, block, length);
}

function ageRecords(reply: Buffer, marks: number[], base: number, count: number, age: number): void {
  for (let i = 0; i < count; i++) {
    const at = base + (marks[i * 2] as number);
    reply.writeUInt32BE(Math.max(0, reply.readUInt32BE(at) - age), at);
  }
}
