import { runChecks, type HealthCheck } from '@naru/foundation';
import type { HttpResponse } from './http';
import { sendText } from './respond';

export interface HealthDeps {
  live: readonly HealthCheck[];
  ready: readonly HealthCheck[];
}

const doors = new Set(['healthz', 'livez', 'readyz']);

/** /healthz, /livez, /readyz, each with ?verbose, ?exclude=NAME and /NAME for one check. */
export class HealthRoutes {
  constructor(private readonly deps: HealthDeps) {}

  async handle(path: string, query: URLSearchParams, response: HttpResponse): Promise<boolean> {
    const [door = '', name, ...rest] = path.split('/').filter(part => part !== '');
    if (!doors.has(door) || rest.length > 0) return false;
    const excluded = new Set(query.getAll('exclude'));
    const all = door === 'livez' ? [...this.deps.live] : [...this.deps.live, ...this.deps.ready];
    const checks = all.filter(check => (name ? check.name === name : !excluded.has(check.name)));
    if (name && checks.length === 0) return false;
    const unknown = [...excluded].filter(wanted => wanted !== '' && !all.some(check => check.name === wanted));
    const warning =
      unknown.length === 0 || name
        ? ''
        : `\nwarn: some health checks cannot be excluded: no matches for ${unknown.map(each => JSON.stringify(each)).join(', ')}`;
    const result = await runChecks(checks);
    const { healthy } = result;
    const report = `${result.report}${warning}`;
    if (healthy && (!query.has('verbose') || name)) sendText(response, 200, 'ok');
    else if (healthy) sendText(response, 200, `${report}\n${door} check passed\n`);
    else sendText(response, 500, `${report}\n${door} check failed\n`);
    return true;
  }
}
