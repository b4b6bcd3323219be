import { pods as podType, services as serviceType, type Pod, type Service } from '@naru/api';
import type { Informer } from '@naru/client';
import { buildGrants, type Grants } from './containers/build-grants';
import { buildNode, type NodeParts } from './node/build-node';
import { buildNodePressure, type NodePressure } from './node/node-pressure';
import { buildPods, type Pods } from './pods/build-pods';
import { buildServer } from './server/build-server';
import type { KubeletServer } from './server/kubelet-server';
import type { LaterParts, Surroundings } from './surroundings';
import { buildVolumes, type Volumes } from './volumes/build-volumes';

/** What a kubelet consists of, by concern. */
export interface KubeletParts {
  informers: { pods: Informer<Pod>; services: Informer<Service> };
  /** Devices, processors and cgroups. */
  grants: Grants;
  volumes: Volumes;
  /** Measures; eviction and the collection of images when something runs out. */
  pressure: NodePressure;
  pods: Pods;
  /** The Node object, its Lease, the graceful shutdown. */
  node: NodeParts;
  /** Logs, exec, stats and metrics for others. */
  server: KubeletServer;
}

/** Parts that know of each other in a circle ask for each other when they need it, never while they are built. */
export function buildKubelet(around: Surroundings): KubeletParts {
  const { nodeName } = around;
  const informers = {
    pods: around.informers.informer<Pod>({
      type: podType,
      partition: nodeName,
      fieldSelector: `spec.nodeName=${nodeName}`,
    }),
    services: around.informers.informer<Service>({ type: serviceType }),
  };
  const later: LaterParts = { workers: () => pods.workers, reporter: () => node.reporter };
  const grants = buildGrants({ ...around, ...later });
  const volumes = buildVolumes({ ...around, ...later, devices: grants.devices });
  const pressure: NodePressure = buildNodePressure({
    ...{ ...around, ...grants, workers: later.workers },
    volumes: volumes.volumes,
    drivers: volumes.csi.drivers,
    node: () => node.reporter.current,
    onPressure: () => node.reporter.poke(),
    onImageRemoved: id => pods.puller.forget(id),
  });
  const pods: Pods = buildPods({
    ...{ ...around, ...grants, ...volumes, ...later, services: informers.services },
    gates: [() => node.shutdown.admit(), pod => pressure.eviction.admit(pod)],
  });
  const node: NodeParts = buildNode({
    ...{ ...around, workers: pods.workers, devices: grants.devices, attachments: volumes.csi.attachments, pressure },
    port: () => server.port,
  });
  const { workers, probeMetrics } = pods;
  const server: KubeletServer = buildServer({ ...around, workers, probeMetrics, pressure });
  return { informers, grants, volumes, pressure, pods, node, server };
}
