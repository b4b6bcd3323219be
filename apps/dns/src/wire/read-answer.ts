import type { Answer, ResourceRecord } from './answer';
import { flags, headerLength, types } from './codes';
import { readName, readPlainName, toLower, type Name } from './name';

export interface ReadAnswer extends Answer {
  id: number;
  name: Name;
  type: number;
  truncated: boolean;
}

/** More than a message of 64 KB holds of the smallest useful records. */
const maxRecords = 4_096;

/** Reads an answer of another server. Undefined when it is malformed or no answer to a single question. Never throws. */
export function readAnswer(packet: Buffer): ReadAnswer | undefined {
  if (packet.length < headerLength) return undefined;
  const bits = packet.readUInt16BE(2);
  if (!(bits & flags.response) || packet.readUInt16BE(4) !== 1) return undefined;
  const name = readPlainName(packet, headerLength);
  if (name === undefined) return undefined;
  let at = headerLength + name.length + 4;
  if (at > packet.length) return undefined;
  const counts = [packet.readUInt16BE(6), packet.readUInt16BE(8), packet.readUInt16BE(10)];
  const truncated = (bits & flags.truncated) !== 0;
  if (counts.reduce((sum, count) => sum + count) > maxRecords) return undefined;
  const sections: ResourceRecord[][] = [];
  let highRcode = 0;
  for (const count of counts) {
    const records: ResourceRecord[] = [];
    for (let i = 0; i < count; i++) {
      const read = readRecord(packet, at);
      if (!read) {
        // A truncated answer may end within a record; its reader asks again by TCP anyway.
        if (truncated) break;
        return undefined;
      }
      at = read.end;
      if (read.record.type === types.OPT) highRcode = read.record.ttl >>> 24;
      else if (read.record.type !== types.TSIG) records.push(read.record);
    }
    sections.push(records);
  }
  const [answers = [], authority = [], additional = []] = sections;
  return {
    id: packet.readUInt16BE(0),
    name: toLower(name),
    type: packet.readUInt16BE(headerLength + name.length),
    truncated,
    rcode: (bits & 0xf) | (highRcode << 4),
    authoritative: (bits & flags.authoritative) !== 0,
    answers,
    authority,
    additional,
  };
}

function readRecord(packet: Buffer, at: number): { record: ResourceRecord; end: number } | undefined {
  const owner = readName(packet, at);
  if (!owner || owner.end + 10 > packet.length) return undefined;
  const type = packet.readUInt16BE(owner.end);
  const ttl = packet.readUInt32BE(owner.end + 4);
  const start = owner.end + 10;
  const end = start + packet.readUInt16BE(owner.end + 8);
  if (end > packet.length) return undefined;
  const data = readData(packet, type, start, end);
  if (!data) return undefined;
  // A TTL with the top bit set counts as 0 (RFC 2181); that of OPT is no TTL.
  const sane = type === types.OPT || ttl < 0x80000000 ? ttl : 0;
  return { record: { name: toLower(owner.name), type, ttl: sane, data }, end };
}

/** Where names stand in the data of the types that may compress them (RFC 3597): bytes before, names, bytes after. */
const namesInData: Record<number, [number, number, number]> = {
  [types.NS]: [0, 1, 0],
  [types.CNAME]: [0, 1, 0],
  [types.PTR]: [0, 1, 0],
  [types.MX]: [2, 1, 0],
  [types.SRV]: [6, 1, 0],
  [types.SOA]: [0, 2, 20],
};

function readData(packet: Buffer, type: number, start: number, end: number): Buffer | undefined {
  const layout = namesInData[type];
  if (!layout) return Buffer.from(packet.subarray(start, end));
  const [before, names, after] = layout;
  let at = start + before;
  const parts = [packet.subarray(start, Math.min(at, end))];
  for (let i = 0; i < names; i++) {
    const read = at < end ? readName(packet, at) : undefined;
    if (!read) return undefined;
    parts.push(Buffer.from(read.name, 'latin1'));
    at = read.end;
  }
  if (at + after !== end) return undefined;
  return Buffer.concat([...parts, packet.subarray(at, end)]);
}
