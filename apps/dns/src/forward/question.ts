import { flags, headerLength, types } from '../wire/codes';
import type { Name } from '../wire/name';
import { ourUdpSize } from '../wire/response';

/** What is asked of another server. */
export interface Question {
  /** In lower case. */
  name: Name;
  type: number;
  dnssecOk: boolean;
  checkingDisabled: boolean;
}

export function questionKey({ name, type, dnssecOk, checkingDisabled }: Question): string {
  return `${type}${dnssecOk ? 'd' : ''}${checkingDisabled ? 'c' : ''}/${name}`;
}

/** The packet that asks a recursive server. */
export function writeQuestion(id: number, { name, type, dnssecOk, checkingDisabled }: Question): Buffer {
  const packet = Buffer.alloc(headerLength + name.length + 4 + 11);
  packet.writeUInt16BE(id, 0);
  packet.writeUInt16BE(flags.recursionDesired | (checkingDisabled ? flags.checkingDisabled : 0), 2);
  packet.writeUInt16BE(1, 4);
  packet.writeUInt16BE(1, 10);
  let at = headerLength + packet.write(name, headerLength, 'latin1');
  packet.writeUInt16BE(type, at);
  packet.writeUInt16BE(1, at + 2);
  at += 5;
  packet.writeUInt16BE(types.OPT, at);
  packet.writeUInt16BE(ourUdpSize, at + 2);
  if (dnssecOk) packet.writeUInt16BE(0x8000, at + 6);
  return packet;
}
