import { isIP, isIPv4, isIPv6 } from 'node:net';
import { parseBlock } from '@naru/foundation';

const uuid = (version: string): RegExp =>
  new RegExp(`^[0-9a-f]{8}-?[0-9a-f]{4}-?${version}[0-9a-f]{3}-?[0-9a-f]{4}-?[0-9a-f]{12}$`, 'i');
const hostname =
  /^(?=.{1,253}$)[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(\.[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*$/;
const go = (pattern: RegExp) => (text: string) => pattern.test(text);

/** The formats that upstream checks (kube-openapi's strfmt); others are documentation. */
export const stringFormats: Readonly<Record<string, (text: string) => boolean>> = {
  'date-time': text =>
    /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:?\d\d)$/.test(text) && !Number.isNaN(Date.parse(text)),
  datetime: text => !Number.isNaN(Date.parse(text)),
  date: text => /^\d{4}-\d\d-\d\d$/.test(text) && isDate(text),
  duration: text =>
    /^-?(\d+(\.\d+)?(ns|us|µs|ms|s|m|h))+$/.test(text) || /^-?\d+ ?(s|m|h|d|w)[a-z]*$/.test(text) || text === '0',
  email: go(/^[^\s@<>]+@[^\s@<>]+$/),
  hostname: go(hostname),
  ipv4: isIPv4,
  ipv6: isIPv6,
  ip: text => isIP(text) !== 0,
  cidr: text => isCidr(text),
  mac: go(/^([0-9a-f]{2}[:-]){5}[0-9a-f]{2}$/i),
  uri: text => /^[a-z][a-z0-9+.-]*:|^\//i.test(text),
  uuid: go(/^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i),
  uuid3: go(uuid('3')),
  uuid4: go(uuid('4')),
  uuid5: go(uuid('5')),
  byte: go(/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/),
  isbn10: go(/^(\d-?){9}[\dXx]$/),
  isbn13: go(/^(\d-?){13}$/),
  isbn: go(/^((\d-?){9}[\dXx]|(\d-?){13})$/),
  creditcard: go(/^\d{13,19}$/),
  ssn: go(/^\d{3}[- ]?\d{2}[- ]?\d{4}$/),
  hexcolor: go(/^#?([0-9a-f]{3}|[0-9a-f]{6})$/i),
  rgbcolor: go(/^rgb\((\s*\d{1,3}\s*,){2}\s*\d{1,3}\s*\)$/),
  bsonobjectid: go(/^[0-9a-f]{24}$/i),
  'k8s-short-name': go(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/),
  'k8s-long-name': go(/^(?=.{1,253}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/),
};

function isDate(text: string): boolean {
  const date = new Date(`${text}T00:00:00Z`);
  return !Number.isNaN(date.getTime()) && date.toISOString().startsWith(text);
}

export function isCidr(text: string): boolean {
  return parseBlock(text) !== undefined;
}
