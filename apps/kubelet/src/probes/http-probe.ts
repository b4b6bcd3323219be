import http from 'node:http';
import https from 'node:https';
import { hostPort } from '@naru/foundation';
import type { Container, Probe } from '@naru/api';

type HttpGet = NonNullable<Probe['httpGet']>;

export interface ProbeOutcome {
  success: boolean;
  /** What goes into the event when it failed. */
  output: string;
}

const maxBodyBytes = 10 << 10;
const maxRedirects = 10;
/** Few at a time would do: connections are never kept. */
const userAgent = 'kube-probe/1.36';

/** The number of a port that a probe or hook names. Throws when the container has no such port. */
export function resolvePort(port: string | number, container: Container): number {
  if (typeof port === 'number') return port;
  if (/^\d+$/.test(port)) return Number(port);
  const named = container.ports?.find(({ name }) => name === port);
  if (!named) throw new Error(`couldn't find port: ${port} in container ${container.name}`);
  return named.containerPort;
}

export function probeUrl(action: HttpGet, container: Container, podIp: string): URL {
  const scheme = (action.scheme ?? 'HTTP').toLowerCase();
  const host = action.host || podIp;
  const port = resolvePort(action.port as string | number, container);
  const path = action.path ?? '/';
  const base = `${scheme}://${host.includes(':') ? `[${host}]` : host}:${port}`;
  return new URL(path.startsWith('/') ? base + path : `${base}/${path}`);
}

function headersOf(action: HttpGet): http.OutgoingHttpHeaders {
  const headers: http.OutgoingHttpHeaders = { 'user-agent': userAgent, accept: '*/*', connection: 'close' };
  for (const { name, value } of action.httpHeaders ?? []) {
    const key = name.toLowerCase();
    // An empty value for these two leaves the header out, as documented upstream.
    if (value === '' && (key === 'user-agent' || key === 'accept')) delete headers[key];
    else headers[key] = value;
  }
  return headers;
}

interface Answer {
  status: number;
  location: string | undefined;
  body: string;
}

function request(url: URL, headers: http.OutgoingHttpHeaders, timeoutMs: number): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const options = { headers, agent: false as const };
    const onAnswer = (response: http.IncomingMessage): void => {
      let body = '';
      response.setEncoding('utf8');
      const done = (): void => {
        clearTimeout(timer);
        outgoing.destroy();
        resolve({ status: response.statusCode ?? 0, location: response.headers.location, body });
      };
      response.on('data', (chunk: string) => {
        body += chunk;
        if (body.length > maxBodyBytes) done();
      });
      response.on('end', done);
      response.on('error', reject);
    };
    const outgoing =
      url.protocol === 'https:'
        ? https.request(url, { ...options, rejectUnauthorized: false }, onAnswer)
        : http.request(url, options, onAnswer);
    const timer = setTimeout(
      () => outgoing.destroy(new Error('context deadline exceeded (Client.Timeout exceeded while awaiting headers)')),
      timeoutMs,
    );
    // Not asked for: Node would end the request without a word.
    outgoing.once('upgrade', ({ statusCode = 0 }, socket) => {
      clearTimeout(timer);
      socket.destroy();
      resolve({ status: statusCode, location: undefined, body: '' });
    });
    outgoing.on('error', error => {
      clearTimeout(timer);
      reject(error);
    });
    outgoing.end();
  });
}

/** Node's words for a failed connection, in those that upstream's users know. */
export function describeDialError(error: Error & { code?: string }, host: string, port: string): string {
  const at = `dial tcp ${hostPort(host, port)}`;
  switch (error.code) {
    case 'ECONNREFUSED':
      return `${at}: connect: connection refused`;
    case 'EHOSTUNREACH':
      return `${at}: connect: no route to host`;
    case 'ENETUNREACH':
      return `${at}: connect: network is unreachable`;
    case 'ECONNRESET':
      return `read tcp ${hostPort(host, port)}: read: connection reset by peer`;
    case 'ETIMEDOUT':
      return `${at}: i/o timeout`;
    default:
      return error.message;
  }
}

/** One HTTP probe: 200 to 399 is success; redirects are followed on the same host only, another host counts as success. */
export async function probeHttp(url: URL, action: HttpGet, timeoutMs: number): Promise<ProbeOutcome> {
  const headers = headersOf(action);
  const deadline = Date.now() + timeoutMs;
  let at = url;
  for (let redirects = 0; redirects <= maxRedirects; redirects++) {
    let answer: Answer;
    try {
      answer = await request(at, headers, Math.max(1, deadline - Date.now()));
    } catch (error) {
      const port = at.port || (at.protocol === 'https:' ? '443' : '80');
      return { success: false, output: `Get "${at.href}": ${describeDialError(error as Error, at.hostname, port)}` };
    }
    const { status, location } = answer;
    if (status >= 300 && status < 400 && location && status !== 304) {
      const next = new URL(location, at);
      if (next.hostname !== at.hostname) return { success: true, output: 'Probe terminated redirects' };
      at = next;
      continue;
    }
    if (status >= 200 && status < 400) return { success: true, output: answer.body };
    return { success: false, output: `HTTP probe failed with statuscode: ${status}` };
  }
  return { success: false, output: `Get "${at.href}": stopped after ${maxRedirects} redirects` };
}
