import path from 'node:path';
import { parsePodLogOptions } from '@naru/api';
import { StatusError, type Clock } from '@naru/foundation';
import { proxyUpgrade } from '@naru/streaming';
import { CriError, type CriClient } from '../cri/cri-client';
import { readLogs } from '../logs/read-logs';
import type { PodPaths } from '../pods/pod-paths';
import type { PodWorkers } from '../pods/pod-workers';
import type { PodWorker } from '../pods/pod-worker';
import type { ContainerRecord } from '../pods/runtime-state';
import type { Exchange, Routes, UpgradeExchange } from './kubelet-server';

export interface ContainerRoutesDeps {
  workers: PodWorkers;
  runtime: CriClient;
  paths: PodPaths;
  clock: Clock;
}

/** Accepts upstream's names (`input`) and kubectl's (`stdin`); "1" and "true" alike. */
function flag(url: URL, ...names: string[]): boolean {
  return names.some(name => ['1', 'true'].includes(url.searchParams.get(name) ?? ''));
}

/** What the logs of a container say that waits for its image. */
const pullFailures: ReadonlyMap<string, string> = new Map([
  ['ErrImagePull', "image can't be pulled"],
  ['ImagePullBackOff', 'trying and failing to pull image'],
]);

/** Logs, exec, attach and port-forward. */
export class ContainerRoutes {
  readonly routes: Routes<Exchange> = { containerLogs: exchange => this.logs(exchange) };
  readonly upgrades: Routes<UpgradeExchange> = {
    exec: exchange => this.exec(exchange),
    attach: exchange => this.attach(exchange),
    portForward: exchange => this.portForward(exchange),
  };

  constructor(private readonly deps: ContainerRoutesDeps) {}

  private worker(namespace = '', name = ''): PodWorker {
    const worker = this.deps.workers.find(namespace, name);
    if (!worker) throw new StatusError('NotFound', `pod "${name}" not found`);
    return worker;
  }

  private records(worker: PodWorker, container: string): ContainerRecord[] {
    return worker.lastRuntime.containers.filter(({ name }) => name === container);
  }

  /** A container that runs now. The path is NAMESPACE/POD[/UID]/CONTAINER. */
  private running(parts: string[]): { worker: PodWorker; record: ContainerRecord } {
    const [namespace, name] = parts;
    const container = parts.at(-1) ?? '';
    if (parts.length < 3) throw new StatusError('BadRequest', 'the path must be /NAMESPACE/POD/CONTAINER');
    const worker = this.worker(namespace, name);
    const record = this.records(worker, container).find(({ phase }) => phase === 'running');
    if (!record) throw new StatusError('NotFound', `container not found ("${container}")`);
    return { worker, record };
  }

  private async logs({ url, parts, response, request }: Exchange): Promise<void> {
    const [namespace, name, container = ''] = parts;
    const worker = this.worker(namespace, name);
    const spec = worker.current.spec;
    const known = [...(spec?.containers ?? []), ...(spec?.initContainers ?? []), ...(spec?.ephemeralContainers ?? [])];
    if (!known.some(each => each.name === container)) {
      throw new StatusError('NotFound', `container "${container}" not found in pod "${name}"`);
    }
    const records = this.records(worker, container);
    const options = parsePodLogOptions(url.searchParams, name ?? '');
    const record = options.previous ? this.previous(worker, records) : records[0];
    if (!record) throw this.noLog(worker, container, options.previous);
    const { logPath } = record;
    const file =
      logPath ||
      path.join(this.deps.paths.logs(worker.current), this.deps.paths.containerLog(container, record.attempt));
    const { follow, timestamps, tailLines, limitBytes, sinceSeconds, sinceTime } = options;
    const sinceMs = sinceSeconds === undefined ? sinceTime : this.deps.clock.now() - sinceSeconds * 1000;
    const streamName = options.stream?.toLowerCase();
    const stream = streamName === 'stdout' || streamName === 'stderr' ? streamName : undefined;
    const controller = new AbortController();
    response.on('close', () => controller.abort());
    request.on('error', () => controller.abort());
    response.writeHead(200, { 'content-type': 'text/plain' });
    // The caller of a quiet container wants to know that it is connected.
    response.flushHeaders();
    try {
      await readLogs(
        file,
        { follow, timestamps, tailLines, limitBytes, sinceMs, stream },
        {
          clock: this.deps.clock,
          hasEnded: async () =>
            !worker.lastRuntime.containers.some(({ id, phase }) => id === record.id && phase === 'running'),
          signal: controller.signal,
          write: data =>
            new Promise(resolve => {
              if (response.write(data) || response.destroyed) return resolve();
              const go = (): void => {
                response.off('drain', go);
                response.off('close', go);
                resolve();
              };
              response.on('drain', go);
              response.on('close', go);
            }),
        },
      );
      response.end();
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      response.end(
        code === 'ENOENT' ? `failed to try resolving symlinks in path "${file}": no such file or directory` : '',
      );
    }
  }

  /**
   * The container that the pod's status shows as the last one that ended. One that waits for its restart has ended itself.
   * Source: the kubelet's validateContainerLogStatus.
   */
  private previous(worker: PodWorker, records: readonly ContainerRecord[]): ContainerRecord | undefined {
    const [newest, older] = records;
    return newest?.phase === 'exited' && worker.isWaiting(newest.name) ? newest : older;
  }

  private noLog(worker: PodWorker, container: string, previous: boolean): StatusError {
    const name = worker.current.metadata.name;
    if (previous) {
      return new StatusError('BadRequest', `previous terminated container "${container}" in pod "${name}" not found`);
    }
    const statuses = worker.current.status;
    const all = [...(statuses?.containerStatuses ?? []), ...(statuses?.initContainerStatuses ?? [])];
    const waiting = all.find(status => status.name === container)?.state?.waiting;
    const reason = waiting?.reason ?? 'ContainerCreating';
    const why = pullFailures.get(reason) ?? reason;
    return new StatusError('BadRequest', `container "${container}" in pod "${name}" is waiting to start: ${why}`);
  }

  private async exec(exchange: UpgradeExchange): Promise<void> {
    const { url, parts } = exchange;
    const { record } = this.running(parts);
    const cmd = url.searchParams.getAll('command');
    if (cmd.length === 0) throw new StatusError('BadRequest', 'you must specify a command');
    const tty = flag(url, 'tty');
    const target = await this.runtime(
      this.deps.runtime.exec({
        containerId: record.id,
        cmd,
        tty,
        stdin: flag(url, 'input', 'stdin'),
        stdout: flag(url, 'output', 'stdout'),
        // A terminal has one stream only.
        stderr: !tty && flag(url, 'error', 'stderr'),
      }),
    );
    await this.hand(exchange, target);
  }

  private async attach(exchange: UpgradeExchange): Promise<void> {
    const { url, parts } = exchange;
    const { worker, record } = this.running(parts);
    const spec = worker.current.spec;
    const all = [...(spec?.containers ?? []), ...(spec?.initContainers ?? []), ...(spec?.ephemeralContainers ?? [])];
    const tty = all.find(({ name }) => name === record.name)?.tty ?? false;
    const target = await this.runtime(
      this.deps.runtime.attach({
        containerId: record.id,
        tty,
        stdin: flag(url, 'input', 'stdin'),
        stdout: flag(url, 'output', 'stdout'),
        stderr: !tty && flag(url, 'error', 'stderr'),
      }),
    );
    await this.hand(exchange, target);
  }

  private async portForward(exchange: UpgradeExchange): Promise<void> {
    const { url, parts } = exchange;
    const worker = this.worker(parts[0], parts[1]);
    const sandbox = worker.lastRuntime.sandboxes.find(({ ready }) => ready);
    if (!sandbox) throw new StatusError('BadRequest', `pod "${parts[1]}" is not running`);
    const ports = [...url.searchParams.getAll('port'), ...url.searchParams.getAll('ports')].flatMap(text =>
      text.split(','),
    );
    const numbers = ports.map(Number);
    if (numbers.some(port => !Number.isInteger(port) || port < 1 || port > 65_535)) {
      throw new StatusError('BadRequest', `invalid port in "${ports.join(',')}"`);
    }
    await this.hand(exchange, await this.runtime(this.deps.runtime.portForward(sandbox.id, numbers)));
  }

  private async runtime(answer: Promise<string>): Promise<URL> {
    try {
      return new URL(await answer);
    } catch (cause) {
      if (cause instanceof CriError && cause.notFound) throw new StatusError('NotFound', cause.message, { cause });
      throw cause;
    }
  }

  /** The runtime's streaming server takes over; we only carry bytes. */
  private async hand({ request, socket, head }: UpgradeExchange, target: URL): Promise<void> {
    await proxyUpgrade(
      { request, socket, head },
      {
        host: target.hostname.replace(/^\[|\]$/g, ''),
        port: Number(target.port || 80),
        path: target.pathname + target.search,
        ...(target.protocol === 'https:' ? { tls: { rejectUnauthorized: false } } : {}),
      },
    );
  }
}
