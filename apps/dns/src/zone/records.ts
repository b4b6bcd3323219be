import type { ResourceRecord } from '../wire/answer';
import { types } from '../wire/codes';
import { label, type Name } from '../wire/name';
import { addressBytes } from '../wire/address';

/** The A or AAAA record of an address in text form; undefined when it is none. */
export function addressRecord(name: Name, address: string, ttl: number): ResourceRecord | undefined {
  const data = addressBytes(address);
  return data && { name, type: data.length === 4 ? types.A : types.AAAA, ttl, data };
}

export function nameRecord(name: Name, type: number, target: Name, ttl: number): ResourceRecord {
  return { name, type, ttl, data: Buffer.from(target, 'latin1') };
}

export function srvRecord(name: Name, target: Name, port: number, weight: number, ttl: number): ResourceRecord {
  const data = Buffer.alloc(6 + target.length);
  data.writeUInt16BE(weight, 2);
  data.writeUInt16BE(port, 4);
  data.write(target, 6, 'latin1');
  return { name, type: types.SRV, ttl, data };
}

export function textRecord(name: Name, text: string, ttl: number): ResourceRecord {
  return { name, type: types.TXT, ttl, data: Buffer.from(label(text), 'latin1') };
}

export interface SoaOptions {
  zone: Name;
  serial: number;
  ttl: number;
}

/** The start of authority as upstream's server gives it; its last number is how long "no such name" may be kept. */
export function soaRecord({ zone, serial, ttl }: SoaOptions): ResourceRecord {
  const names = Buffer.from(`${label('ns')}${label('dns')}${zone}${label('hostmaster')}${zone}`, 'latin1');
  const numbers = Buffer.alloc(20);
  [serial >>> 0, 7_200, 1_800, 86_400, ttl].forEach((value, i) => numbers.writeUInt32BE(value, i * 4));
  return { name: zone, type: types.SOA, ttl, data: Buffer.concat([names, numbers]) };
}
