/**
 * A domain name in wire form without compression, one character a byte: "\x03www\x07example\x03com\x00". Lossless for
 * any label, and a plain string, so that it can be a key.
 */
export type Name = string;

const maxNameLength = 255;
const maxLabelLength = 63;

export const rootName: Name = '\0';

/** One label in wire form. */
export function label(text: string): string {
  return String.fromCharCode(text.length) + text;
}

/** The wire form of "www.example.com", with or without the last dot; undefined when it is no valid name. */
export function nameOf(text: string): Name | undefined {
  const bare = text.endsWith('.') ? text.slice(0, -1) : text;
  if (bare === '') return rootName;
  const labels = bare.split('.');
  if (labels.some(part => part.length === 0 || part.length > maxLabelLength || /[^\x21-\x7e]/.test(part)))
    return undefined;
  const name = labels.map(label).join('') + rootName;
  return name.length > maxNameLength ? undefined : name;
}

/** For logs: "www.example.com."; what is not printable is escaped as in zone files. */
export function toText(name: Name): string {
  const labels = labelsOf(name).map(part =>
    part.replace(/[^\x21-\x7e]|[.\\]/g, char =>
      char === '.' || char === '\\' ? `\\${char}` : `\\${String(char.charCodeAt(0)).padStart(3, '0')}`,
    ),
  );
  return `${labels.join('.')}.`;
}

export function labelsOf(name: Name): string[] {
  const labels: string[] = [];
  for (let at = 0; ;) {
    const length = name.charCodeAt(at);
    if (!(length > 0)) return labels;
    labels.push(name.slice(at + 1, at + 1 + length));
    at += 1 + length;
  }
}

/** Whether `name` is `zone` or below it. Labels may hold any byte, so the border of a label is looked for. */
export function isWithin(name: Name, zone: Name): boolean {
  const start = name.length - zone.length;
  if (start < 0 || !name.endsWith(zone)) return false;
  let at = 0;
  while (at < start) at += 1 + name.charCodeAt(at);
  return at === start;
}

/** Lower case for A to Z only, as DNS compares names. */
export function toLower(name: string): string {
  // Length bytes are below "A", so they stay; letters beyond ASCII must too.
  return /[\x80-\xff]/.test(name) ? name.replace(/[A-Z]+/g, part => part.toLowerCase()) : name.toLowerCase();
}

/** Reads an uncompressed name at `at`, as in a question; undefined when it is malformed. */
export function readPlainName(packet: Buffer, at: number): Name | undefined {
  let end = at;
  for (;;) {
    if (end >= packet.length) return undefined;
    const length = packet[end] as number;
    end += 1;
    if (length === 0) break;
    if (length > maxLabelLength) return undefined;
    end += length;
  }
  if (end - at > maxNameLength) return undefined;
  return packet.toString('latin1', at, end);
}

/**
 * Reads a name that may be compressed. Pointers must lead backwards, so that it ends; undefined when it is malformed.
 * `end` is where reading goes on.
 */
export function readName(packet: Buffer, at: number): { name: Name; end: number } | undefined {
  let name = '';
  let end: number | undefined;
  let limit = at;
  for (;;) {
    if (at >= packet.length) return undefined;
    const length = packet[at] as number;
    if (length === 0) return { name: name + rootName, end: end ?? at + 1 };
    if (length >= 0xc0) {
      if (at + 1 >= packet.length) return undefined;
      const target = ((length & 0x3f) << 8) | (packet[at + 1] as number);
      end ??= at + 2;
      if (target >= limit) return undefined;
      limit = target;
      at = target;
      continue;
    }
    if (length > maxLabelLength || at + 1 + length > packet.length) return undefined;
    name += packet.toString('latin1', at, at + 1 + length);
    if (name.length >= maxNameLength) return undefined;
    at += 1 + length;
  }
}
