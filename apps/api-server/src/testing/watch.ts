import https from 'node:https';
import { eventually, tokens, type Reply, type TestServer } from './test-server';

export interface WatchEvent {
  type: string;
  object: Reply['json'];
}

export interface Watched {
  events: WatchEvent[];
  ended: boolean;
  /** Waits for an event of this type whose object is accepted; those before it may be others. */
  until(type: string, accept?: (object: WatchEvent['object']) => boolean): Promise<WatchEvent>;
  stop(): void;
}

/** What a watch over REST tells, as it comes. `url` is the collection with its query, without `watch=1`. */
export function watch(api: TestServer, url: string, headers: Record<string, string> = {}): Watched {
  const watched: Watched = {
    events: [],
    ended: false,
    until: (type, accept = () => true) =>
      eventually(() => watched.events.find(event => event.type === type && accept(event.object))).catch(
        (cause: unknown) => {
          throw new Error(`no ${type} among ${JSON.stringify(watched.events)}`, { cause });
        },
      ),
    stop: () => request.destroy(),
  };
  let rest = '';
  const request = https.get(
    {
      host: '127.0.0.1',
      port: api.port,
      path: `${url}${url.includes('?') ? '&' : '?'}watch=1`,
      rejectUnauthorized: false,
      agent: false,
      headers: { authorization: `Bearer ${tokens.admin}`, ...headers },
    },
    response => {
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        const lines = (rest + chunk).split('\n');
        rest = lines.pop()!;
        for (const line of lines) watched.events.push(JSON.parse(line) as WatchEvent);
      });
      response.on('close', () => (watched.ended = true));
    },
  );
  request.on('error', () => (watched.ended = true));
  return watched;
}
