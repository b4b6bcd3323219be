import fs from 'node:fs/promises';
import path from 'node:path';
import { StatusError, formatTime, type Clock } from '@naru/foundation';
import { CriError, type CriClient } from '../cri/cri-client';
import type { PodPaths } from '../pods/pod-paths';
import type { PodWorkers } from '../pods/pod-workers';
import type { Exchange, Routes } from './kubelet-server';

export interface CheckpointRouteDeps {
  workers: Pick<PodWorkers, 'find'>;
  runtime: Pick<CriClient, 'checkpointContainer'>;
  paths: Pick<PodPaths, 'checkpoints'>;
  clock: Clock;
}

/** POST /checkpoint/NAMESPACE/POD/CONTAINER: the state of a container, which runs on, in an archive of the node. Source: pkg/kubelet/server. */
export class CheckpointRoute {
  readonly routes: Routes<Exchange> = { checkpoint: exchange => this.answer(exchange) };

  constructor(private readonly deps: CheckpointRouteDeps) {}

  private async answer({ request, response, url, parts }: Exchange): Promise<void> {
    if (request.method !== 'POST') throw new StatusError('MethodNotAllowed', '405: Method Not Allowed');
    const [namespace = '', name = '', container = '', ...more] = parts;
    if (container === '' || more.length > 0) throw new StatusError('NotFound', `404 page not found: ${url.pathname}`);
    const worker = this.deps.workers.find(namespace, name);
    if (!worker) throw new StatusError('NotFound', 'pod does not exist');
    const { spec } = worker.current;
    const all = [...(spec?.containers ?? []), ...(spec?.initContainers ?? []), ...(spec?.ephemeralContainers ?? [])];
    if (!all.some(each => each.name === container))
      throw new StatusError('NotFound', `container ${container} does not exist`);
    const timeout = url.searchParams.getAll('timeout').at(-1) ?? '0';
    // As upstream, whose answer to that is 404.
    if (!/^\d{1,9}$/.test(timeout)) throw new StatusError('NotFound', 'cannot parse value of timeout parameter');
    const record = worker.lastRuntime.containers.find(each => each.name === container);
    const file = `checkpoint-${name}_${namespace}-${container}-${formatTime(this.deps.clock.now())}.tar`;
    const location = path.join(this.deps.paths.checkpoints, file);
    try {
      if (!record) throw new Error(`container ${container} not found`);
      await fs.mkdir(this.deps.paths.checkpoints, { recursive: true, mode: 0o700 });
      await this.deps.runtime.checkpointContainer(record.id, location, Number(timeout));
    } catch (cause) {
      const why = cause instanceof CriError ? cause.rpcError : (cause as Error).message;
      const message = `checkpointing of ${namespace}/${name}/${container} failed (${why})`;
      throw new StatusError('InternalError', message, { cause });
    }
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ items: [location] }));
  }
}
