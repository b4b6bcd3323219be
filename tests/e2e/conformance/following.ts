import type { KubeObject } from '@naru/api';
import { api, patienceMs, type Known } from './api';

export interface Seen<T> {
  type: 'ADDED' | 'MODIFIED' | 'DELETED';
  object: Known<T>;
}

/** Of a list and the watch that follows it. */
type Selectors = Partial<Record<'labelSelector' | 'fieldSelector', string>>;

/** A collection as a watch shows it, from the moment of `start` until `stop`. */
export class Following<T extends KubeObject> {
  readonly seen: Seen<T>[] = [];
  private readonly latest = new Map<string, Known<T>>();
  private readonly waiting = new Set<() => void>();
  private readonly ended = new AbortController();

  private constructor(private readonly path: string) {}

  static async start<T extends KubeObject>(path: string, selectors: Selectors = {}): Promise<Following<T>> {
    const query = new URLSearchParams(selectors);
    const { metadata, items } = await api.list<T>(`${path}?${query}`);
    const following = new Following<T>(path);
    for (const item of items) following.latest.set(item.metadata.name, item);
    query.set('watch', '1');
    query.set('resourceVersion', metadata.resourceVersion);
    const response = await api.open('GET', `${path}?${query}`, following.ended.signal);
    let rest = '';
    response.setEncoding('utf8');
    response.on('data', (chunk: string) => {
      const lines = (rest + chunk).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) following.take(JSON.parse(line) as Seen<T>);
    });
    response.on('error', () => undefined);
    return following;
  }

  stop(): void {
    this.ended.abort();
  }

  /** The object of that name, as soon as it satisfies. */
  until(name: string, satisfies: (object: Known<T>) => unknown, timeoutMs = patienceMs): Promise<Known<T>> {
    const check = (): Known<T> | undefined => {
      const object = this.latest.get(name);
      return object && satisfies(object) ? object : undefined;
    };
    return this.wait(check, timeoutMs, () => `${name} is ${JSON.stringify(this.latest.get(name) ?? 'not there')}`);
  }

  async untilGone(name: string, timeoutMs = patienceMs): Promise<void> {
    const check = (): true | undefined => (this.latest.has(name) ? undefined : true);
    await this.wait(check, timeoutMs, () => `${name} is still ${JSON.stringify(this.latest.get(name))}`);
  }

  /** The first event after `from` others that satisfies. */
  event(satisfies: (seen: Seen<T>) => unknown, from = 0, timeoutMs = patienceMs): Promise<Seen<T>> {
    const told = (): string => this.seen.map(({ type, object }) => `${type} ${object.metadata.name}`).join(', ');
    return this.wait(() => this.seen.slice(from).find(satisfies), timeoutMs, told);
  }

  private wait<R>(check: () => R | undefined, timeoutMs: number, state: () => string): Promise<R> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        const found = check();
        if (found === undefined) return;
        clearTimeout(timer);
        this.waiting.delete(look);
        resolve(found);
      };
      const timer = setTimeout(() => {
        this.waiting.delete(look);
        reject(new Error(`${this.path}: after ${timeoutMs} ms ${state()}`));
      }, timeoutMs);
      this.waiting.add(look);
      look();
    });
  }

  private take(event: Seen<T>): void {
    this.seen.push(event);
    if (event.type === 'DELETED') this.latest.delete(event.object.metadata.name);
    else this.latest.set(event.object.metadata.name, event.object);
    for (const look of [...this.waiting]) look();
  }
}
