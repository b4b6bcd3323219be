import { setMaxListeners } from 'node:events';
import type { Pod, Stored } from '@naru/api';
import { buildKubelet, type KubeletParts } from './kubelet-parts';
import type { NodePressure } from './node/node-pressure';
import type { NodeReporter } from './node/node-reporter';
import type { PodWorkers } from './pods/pod-workers';
import type { KubeletServer } from './server/kubelet-server';
import { readSurroundings, type KubeletDeps, type Surroundings } from './surroundings';

/** The node's agent. `start` returns when it works; `stop` leaves all containers running. */
export class Kubelet {
  private readonly controller = new AbortController();
  private readonly tasks: Promise<unknown>[] = [];

  private constructor(
    private readonly around: Surroundings,
    private readonly parts: KubeletParts,
  ) {
    // Every part that waits listens to the end.
    setMaxListeners(0, this.controller.signal);
  }

  static async create(deps: KubeletDeps): Promise<Kubelet> {
    const around = await readSurroundings(deps);
    return new Kubelet(around, buildKubelet(around));
  }

  get workers(): PodWorkers {
    return this.parts.pods.workers;
  }

  get reporter(): NodeReporter {
    return this.parts.node.reporter;
  }

  get server(): KubeletServer {
    return this.parts.server;
  }

  /** What the node suffers from. */
  get pressures(): readonly string[] {
    return this.parts.pressure.eviction.pressures;
  }

  /** What tells how much is used. */
  get measures(): Pick<NodePressure, 'summary' | 'cadvisor'> {
    return this.parts.pressure;
  }

  /** Begins to work. Resolves when the API is served; the Node becomes Ready when the runtime's network is. */
  async start(): Promise<void> {
    const { grants, volumes, pressure, pods, node, server } = this.parts;
    await grants.cgroups.createRoot();
    await grants.devices.start();
    await volumes.csi.attachments.recover(this.around.paths.pods);
    await pods.puller.recover();
    await server.listen();
    const { signal } = this.controller;
    const loops = [
      ...[volumes.csi.watcher, node.reporter, node.lease, pods.containerEvents, pods.logRotator],
      ...[pressure.eviction, pressure.imageGc, grants.topology.sharedCpus],
    ];
    this.tasks.push(...loops.map(loop => loop.run(signal)));
    await this.takePods(signal);
  }

  /** Ends all pods when the configuration gives them time for it (shutdownGracePeriod). */
  shutDown(): Promise<void> {
    return this.parts.node.shutdown.run();
  }

  /** Stops watching over pods; every container stays as it is. */
  async stop(): Promise<void> {
    const { grants, volumes, pods, server } = this.parts;
    this.controller.abort(new Error('the kubelet is stopping'));
    pods.probes.stop();
    await server.close();
    grants.devices.stop();
    await pods.workers.close();
    await pods.status.flushAll();
    await Promise.allSettled(this.tasks);
    volumes.csi.drivers.close();
    this.around.runtime.close();
  }

  /** Static pods and those that the api-server gives to this node. What only the runtime knows ends when it is sure that they are all known. */
  private async takePods(signal: AbortSignal): Promise<void> {
    const { informers, grants, pods } = this.parts;
    const { workers, staticPods } = pods;
    const { logger } = this.around;
    const known = await pods.reader.listPods();
    const take = (pod: Stored<Pod>): void =>
      staticPods.isMirror(pod) ? staticPods.mirrorSeen(pod) : workers.apply(pod);
    informers.pods.addHandler({
      onAdd: take,
      onUpdate: take,
      onDelete: pod => (staticPods.isMirror(pod) ? staticPods.mirrorGone(pod) : workers.remove(pod)),
    });
    workers.begin(new Set(known.keys()));
    await staticPods.start(signal);
    const synced = Promise.all([informers.pods.start(signal), informers.services.start(signal)]).then(async () => {
      await pods.orphans.clean(known);
      const isKnown = (uid: string): boolean => workers.get(uid) !== undefined;
      grants.topology.admission.retain(isKnown);
      grants.devices.claims.start(isKnown);
      logger.info({ pods: informers.pods.lister.size, known: known.size }, 'pods synced');
    });
    // An api-server that never comes must not keep us from stopping.
    const stopping = new Promise<void>(resolve => signal.addEventListener('abort', () => resolve(), { once: true }));
    const cleaned = synced.catch((err: unknown) => signal.aborted || logger.error({ err }, 'start-up clean-up failed'));
    this.tasks.push(Promise.race([cleaned, stopping]));
  }
}
