import { types } from './codes';
import type { Name } from './name';

/** A resource record of class IN. Names inside `data` are not compressed. */
export interface ResourceRecord {
  name: Name;
  type: number;
  /** Seconds. */
  ttl: number;
  data: Buffer;
}

/** What is known about a question, without the wire's header. */
export interface Answer {
  rcode: number;
  authoritative: boolean;
  answers: ResourceRecord[];
  authority: ResourceRecord[];
  additional: ResourceRecord[];
}

/** An answer in wire form, as it follows the question; made once and sent often. */
export interface EncodedAnswer {
  rcode: number;
  authoritative: boolean;
  answers: number;
  authority: number;
  additional: number;
  bytes: Buffer;
  /** For each record in order: where its TTL is, and where it ends. */
  marks: number[];
  /** Address records of one size and one name at the start that may be turned round: how many, and how long each is. */
  rotation: { count: number; stride: number } | undefined;
}

const maxMessage = 65_535;
/** Pointers have 14 bits. */
const maxPointer = 0x3fff;

/** Length of a record before its data, when its name is a pointer. */
const compressedHeader = 12;

/** Writes the sections of an answer as they follow a question of the name `question`, with compressed owner names. */
export function encodeAnswer(question: Name, answer: Answer): EncodedAnswer {
  const base = 12 + question.length + 4;
  const records = [...answer.answers, ...answer.authority, ...answer.additional];
  const known = new Map<string, number>();
  remember(known, question, 12);
  const parts: Buffer[] = [];
  const marks: number[] = [];
  let at = 0;
  let kept = 0;
  for (const record of records) {
    const name = compress(known, record.name, base + at);
    const size = name.length + 10 + record.data.length;
    if (base + at + size > maxMessage) break;
    const part = Buffer.allocUnsafe(size);
    name.copy(part);
    part.writeUInt16BE(record.type, name.length);
    part.writeUInt16BE(1, name.length + 2);
    part.writeUInt32BE(record.ttl, name.length + 4);
    part.writeUInt16BE(record.data.length, name.length + 8);
    record.data.copy(part, name.length + 10);
    marks.push(at + name.length + 4, at + size);
    parts.push(part);
    at += size;
    kept++;
  }
  const answers = Math.min(kept, answer.answers.length);
  const authority = Math.min(kept - answers, answer.authority.length);
  const bytes = Buffer.allocUnsafeSlow(at);
  let end = 0;
  for (const part of parts) end += part.copy(bytes, end);
  return {
    rcode: answer.rcode,
    authoritative: answer.authoritative,
    answers,
    authority,
    additional: kept - answers - authority,
    bytes,
    marks,
    rotation: rotationOf(question, answer.answers.slice(0, answers)),
  };
}

function rotationOf(question: Name, records: ResourceRecord[]): EncodedAnswer['rotation'] {
  const [first] = records;
  if (!first || records.length < 2 || (first.type !== types.A && first.type !== types.AAAA)) return undefined;
  if (!records.every(({ name, type }) => name === question && type === first.type)) return undefined;
  return { count: records.length, stride: compressedHeader + first.data.length };
}

function remember(known: Map<string, number>, name: Name, at: number): void {
  for (let skip = 0; name.charCodeAt(skip) > 0; skip += 1 + name.charCodeAt(skip)) {
    if (at + skip > maxPointer) return;
    const rest = name.slice(skip);
    if (!known.has(rest)) known.set(rest, at + skip);
  }
}

function compress(known: Map<string, number>, name: Name, at: number): Buffer {
  for (let skip = 0; name.charCodeAt(skip) > 0; skip += 1 + name.charCodeAt(skip)) {
    const pointer = known.get(name.slice(skip));
    if (pointer === undefined) continue;
    remember(known, name, at);
    return Buffer.concat([
      Buffer.from(name.slice(0, skip), 'latin1'),
      Buffer.of(0xc0 | (pointer >> 8), pointer & 0xff),
    ]);
  }
  remember(known, name, at);
  return Buffer.from(name, 'latin1');
}

/** The least TTL of the records, or undefined when there is none. */
export function leastTtl(records: ResourceRecord[]): number | undefined {
  return records.length === 0 ? undefined : Math.min(...records.map(({ ttl }) => ttl));
}
