/** Numbers of the DNS protocol. Source: the IANA registry "Domain Name System (DNS) Parameters". */
export const types = {
  A: 1,
  NS: 2,
  CNAME: 5,
  SOA: 6,
  PTR: 12,
  MX: 15,
  TXT: 16,
  AAAA: 28,
  SRV: 33,
  NAPTR: 35,
  DS: 43,
  HTTPS: 65,
  OPT: 41,
  TSIG: 250,
  IXFR: 251,
  AXFR: 252,
  ANY: 255,
} as const;

const typeNames = new Map<number, string>(Object.entries(types).map(([name, value]) => [value, name]));

/** The name of a type for metrics; types that we do not know share one, so that the number of series is bounded. */
export function typeName(type: number): string {
  return typeNames.get(type) ?? 'other';
}

export const classes = { IN: 1 } as const;

export const rcodes = {
  NOERROR: 0,
  FORMERR: 1,
  SERVFAIL: 2,
  NXDOMAIN: 3,
  NOTIMP: 4,
  REFUSED: 5,
  BADVERS: 16,
} as const;

const rcodeNames = new Map<number, string>(Object.entries(rcodes).map(([name, value]) => [value, name]));

export function rcodeName(rcode: number): string {
  return rcodeNames.get(rcode) ?? 'other';
}

/** Bits of the second 16-bit word of a message. */
export const flags = {
  response: 0x8000,
  opcode: 0x7800,
  authoritative: 0x0400,
  truncated: 0x0200,
  recursionDesired: 0x0100,
  recursionAvailable: 0x0080,
  checkingDisabled: 0x0010,
} as const;

export const headerLength = 12;
