/** One line of a container's log in CRI's format: `TIME STREAM TAG CONTENT`. */
export interface LogLine {
  /** RFC 3339 with nanoseconds; UTC is a Z, also where conmon wrote +00:00. */
  time: string;
  stream: 'stdout' | 'stderr';
  /** The content goes on in the next line. */
  partial: boolean;
  content: Buffer;
}

const space = 0x20;

/** Parses a line without its newline; undefined for what is none (the torn end of a file). */
export function parseLogLine(line: Buffer): LogLine | undefined {
  const first = line.indexOf(space);
  if (first < 0) return undefined;
  const second = line.indexOf(space, first + 1);
  if (second < 0) return undefined;
  let third = line.indexOf(space, second + 1);
  if (third < 0) third = line.length;
  const stream = line.toString('latin1', first + 1, second);
  if (stream !== 'stdout' && stream !== 'stderr') return undefined;
  const tag = line.toString('latin1', second + 1, third);
  return {
    time: line.toString('latin1', 0, first).replace(/\+00:00$/, 'Z'),
    stream,
    partial: tag.split(':')[0] === 'P',
    content: line.subarray(Math.min(third + 1, line.length)),
  };
}
