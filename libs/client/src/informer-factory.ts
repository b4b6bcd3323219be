import type { KubeObject } from '@naru/api';
import type { Informer, InformerOptions } from './informer-types';
import { ReflectingInformer, type InformerDeps } from './reflecting-informer';

/** Makes informers and starts them together. Ask for an informer once and hand it to all who need it. */
export class InformerFactory {
  private readonly informers: Informer<never>[] = [];
  private started = false;

  constructor(private readonly deps: InformerDeps) {}

  informer<T extends KubeObject>(options: InformerOptions<T>): Informer<T> {
    const informer = new ReflectingInformer(options, this.deps);
    // A later one is its maker's to start, and to forget.
    if (!this.started) this.informers.push(informer as unknown as Informer<never>);
    return informer;
  }

  /** Starts all informers made so far and resolves when each has its first list. */
  async start(signal: AbortSignal): Promise<void> {
    this.started = true;
    await Promise.all(this.informers.map(informer => informer.start(signal)));
  }
}
