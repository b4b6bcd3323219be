import { setMaxListeners } from 'node:events';
import type { KubeObject } from '@naru/api';
import type { Informer, InformerOptions } from './informer-types';
import { ReflectingInformer, type InformerDeps } from './reflecting-informer';
import { WatchingInformer, type WatchingInformerDeps } from './watching-informer';

/** Makes informers and starts them together. Ask for an informer once and hand it to all who need it. */
export class InformerFactory {
  private readonly informers: Informer<never>[] = [];
  private started = false;

  /** With a feed they are told of changes; with a watcher they ask. */
  constructor(private readonly deps: InformerDeps | WatchingInformerDeps) {}

  informer<T extends KubeObject>(options: InformerOptions<T>): Informer<T> {
    const { deps } = this;
    const informer = 'feed' in deps ? new ReflectingInformer(options, deps) : new WatchingInformer(options, deps);
    // A later one is its maker's to start, and to forget.
    if (!this.started) this.informers.push(informer as unknown as Informer<never>);
    return informer;
  }

  /** Starts all informers made so far and resolves when each has its first list. */
  async start(signal: AbortSignal): Promise<void> {
    this.started = true;
    // Each listens to this one signal, which is no leak.
    setMaxListeners(0, signal);
    await Promise.all(this.informers.map(informer => informer.start(signal)));
  }
}
