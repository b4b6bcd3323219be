const opening: Record<string, Buffer> = {};
for (const type of ['ADDED', 'MODIFIED', 'DELETED', 'BOOKMARK', 'ERROR'])
  opening[type] = Buffer.from(`{"type":"${type}","object":`);
const closing = Buffer.from('}\n');

export function eventLine(type: string, object: Buffer): Buffer {
  return Buffer.concat([opening[type]!, object, closing]);
}

/** The lines of this turn's events: every watch hears of an event in the turn of its commit. */
const shared = new Map<Buffer, { of: object; type: string; line: Buffer }[]>();

/** The line of an event that many watches show alike: all get the same Buffer. `of` tells the ways to show it apart. */
export function sharedLine(type: string, bytes: Buffer, of: object, view: () => Buffer): Buffer {
  let lines = shared.get(bytes);
  if (!lines) {
    if (shared.size === 0) setImmediate(() => shared.clear());
    shared.set(bytes, (lines = []));
  }
  const known = lines.find(line => line.of === of && line.type === type);
  if (known) return known.line;
  const line = eventLine(type, view());
  lines.push({ of, type, line });
  return line;
}
