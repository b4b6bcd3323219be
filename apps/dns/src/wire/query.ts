import { classes, flags, headerLength, rcodes, types } from './codes';
import { readPlainName, toLower, type Name } from './name';

export interface Query {
  /** In lower case. */
  name: Name;
  type: number;
  /** Where the question ends in the packet. */
  questionEnd: number;
  checkingDisabled: boolean;
  /** Absent when the client speaks no EDNS. */
  edns: { udpSize: number; dnssecOk: boolean } | undefined;
}

/** A packet that is answered with a code and nothing else; `questionEnd` is 12 when the question cannot be given back. */
export interface Refusal {
  rcode: number;
  questionEnd: number;
  edns: boolean;
}

/** More records than this in a query are no honest question. */
const maxRecords = 16;

function refusal(rcode: number, questionEnd = headerLength, edns = false): Refusal {
  return { rcode, questionEnd, edns };
}

/** Reads a query. Undefined means that no answer is due: too short for one, or itself an answer. Never throws. */
export function readQuery(packet: Buffer): Query | Refusal | undefined {
  if (packet.length < headerLength) return undefined;
  const bits = packet.readUInt16BE(2);
  if (bits & flags.response) return undefined;
  if (bits & flags.opcode) return refusal(rcodes.NOTIMP);
  if (packet.readUInt16BE(4) !== 1) return refusal(rcodes.FORMERR);
  const name = readPlainName(packet, headerLength);
  if (name === undefined) return refusal(rcodes.FORMERR);
  const questionEnd = headerLength + name.length + 4;
  if (questionEnd > packet.length) return refusal(rcodes.FORMERR);
  const type = packet.readUInt16BE(questionEnd - 4);
  const extra = readExtra(packet, questionEnd);
  if (extra === undefined) return refusal(rcodes.FORMERR, questionEnd);
  const { edns } = extra;
  if (edns && edns.version !== 0) return refusal(rcodes.BADVERS, questionEnd, true);
  if (type === types.OPT || type === types.TSIG) return refusal(rcodes.FORMERR, questionEnd, edns !== undefined);
  // Transfers are nobody's business, and ANY serves amplification more than anything else (RFC 8482).
  if (packet.readUInt16BE(questionEnd - 2) !== classes.IN || (type >= types.IXFR && type <= types.ANY))
    return refusal(rcodes.REFUSED, questionEnd, edns !== undefined);
  return {
    name: toLower(name),
    type,
    questionEnd,
    checkingDisabled: (bits & flags.checkingDisabled) !== 0,
    edns,
  };
}

interface Edns {
  udpSize: number;
  version: number;
  dnssecOk: boolean;
}

/** Walks what follows the question and finds the OPT record; undefined when it is malformed. */
function readExtra(packet: Buffer, at: number): { edns: Edns | undefined } | undefined {
  const count = packet.readUInt16BE(6) + packet.readUInt16BE(8) + packet.readUInt16BE(10);
  if (count === 0) return { edns: undefined };
  if (count > maxRecords) return undefined;
  let edns: Edns | undefined;
  for (let i = 0; i < count; i++) {
    const isRoot = packet[at] === 0;
    const afterName = skipName(packet, at);
    if (afterName === undefined || afterName + 10 > packet.length) return undefined;
    const end = afterName + 10 + packet.readUInt16BE(afterName + 8);
    if (end > packet.length) return undefined;
    if (packet.readUInt16BE(afterName) === types.OPT) {
      if (edns || !isRoot) return undefined;
      edns = {
        udpSize: packet.readUInt16BE(afterName + 2),
        version: packet[afterName + 5] as number,
        dnssecOk: ((packet[afterName + 6] as number) & 0x80) !== 0,
      };
    }
    at = end;
  }
  return { edns };
}

function skipName(packet: Buffer, at: number): number | undefined {
  for (const start = at; at - start < 256;) {
    const length = packet[at];
    if (length === undefined) return undefined;
    if (length === 0) return at + 1;
    if (length >= 0xc0) return at + 2;
    if (length > 63) return undefined;
    at += 1 + length;
  }
  return undefined;
}
