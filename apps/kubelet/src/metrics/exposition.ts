/** Writes metrics in Prometheus' text format, version 0.0.4: families in order, each with its samples. */
export class Exposition {
  private readonly lines: string[] = [];

  family(
    name: string,
    type: 'counter' | 'gauge',
    help: string,
  ): (labels: Labels, value: number, atMs?: number) => void {
    this.lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`);
    return (labels, value, atMs) => {
      const list = Object.entries(labels).map(([key, text]) => `${key}="${escape(text)}"`);
      const head = list.length > 0 ? `${name}{${list.join(',')}}` : name;
      this.lines.push(atMs === undefined ? `${head} ${value}` : `${head} ${value} ${Math.round(atMs)}`);
    };
  }

  toString(): string {
    return `${this.lines.join('\n')}\n`;
  }
}

export type Labels = Readonly<Record<string, string>>;

export const expositionType = 'text/plain; version=0.0.4; charset=utf-8';

function escape(text: string): string {
  return text.replace(/\\/g, '\\\\').replace(/\n/g, '\\n').replace(/"/g, '\\"');
}
