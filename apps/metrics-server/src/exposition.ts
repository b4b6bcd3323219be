/** One line of the Prometheus text format. */
export interface Sample {
  name: string;
  labels: Record<string, string>;
  value: number;
  /** Milliseconds since the epoch, where the line has it. */
  timeMs: number | undefined;
}

const line = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)(?:\s+(-?\d+))?\s*$/;
const label = /([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"/g;
const escapes: Record<string, string> = { n: '\n', '\\': '\\', '"': '"' };

/** The samples of the wanted metrics; other lines and broken ones are passed over. */
export function* parseExposition(text: string, wanted: ReadonlySet<string>): Generator<Sample> {
  for (const row of text.split('\n')) {
    const [, name = '', labels = '', value, time] = line.exec(row) ?? [];
    if (!wanted.has(name)) continue;
    const number = Number(value);
    if (Number.isNaN(number)) continue;
    yield { name, labels: parseLabels(labels), value: number, timeMs: time === undefined ? undefined : Number(time) };
  }
}

function parseLabels(text: string): Record<string, string> {
  const labels: Record<string, string> = {};
  for (const [, key = '', value = ''] of text.matchAll(label))
    labels[key] = value.replace(/\\(.)/g, (_whole, char: string) => escapes[char] ?? char);
  return labels;
}
