const rfc3339 = /^\d{4}-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9}))?(?:Z|[+-]\d\d:\d\d)$/;
const seconds = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/;

/** An RFC 3339 time as metav1.Time writes it: UTC, whole seconds. Undefined: not a time. */
export function normalizeTime(text: string): string | undefined {
  const at = parseTime(text);
  if (at === undefined) return undefined;
  return seconds.test(text) ? text : `${new Date(at).toISOString().slice(0, 19)}Z`;
}

/** The same with six digits after the point, as metav1.MicroTime. */
export function normalizeMicroTime(text: string): string | undefined {
  const at = parseTime(text);
  if (at === undefined) return undefined;
  const fraction = (rfc3339.exec(text)?.[6] ?? '').padEnd(6, '0').slice(0, 6);
  return `${new Date(at).toISOString().slice(0, 19)}.${fraction}Z`;
}

/** Milliseconds; undefined: not a time. */
export function parseTime(text: string): number | undefined {
  if (!rfc3339.test(text)) return undefined;
  const at = Date.parse(text);
  return Number.isNaN(at) ? undefined : at;
}
