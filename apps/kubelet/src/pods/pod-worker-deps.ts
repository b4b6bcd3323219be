import type { Container, Pod, Stored } from '@naru/api';
import type { ObjectsClient } from '@naru/client';
import type { Clock, Logger } from '@naru/foundation';
import type { PodCgroups } from '../cgroups/pod-cgroups';
import type { DeviceHealth } from '../devices/device-health';
import type { ProbeManager } from '../probes/probe-manager';
import type { StatusWriter } from '../status/status-writer';
import type { PodVolumes } from '../volumes/pod-volumes';
import type { Allocations } from './allocations';
import type { BackOff } from './back-off';
import type { PodAdmission } from './pod-admission';
import type { PodEvents } from './pod-events';
import type { PodKiller } from './pod-killer';
import type { PodPaths } from './pod-paths';
import type { PodResizer } from './pod-resizer';
import type { PodStarter } from './pod-starter';
import type { PodWorker } from './pod-worker';
import type { RuntimeReader } from './runtime-state';

/** What a worker works with; all workers of a node share it. */
export interface PodWorkerDeps {
  client: ObjectsClient;
  reader: RuntimeReader;
  starter: PodStarter;
  killer: PodKiller;
  probes: ProbeManager;
  status: StatusWriter;
  volumes: PodVolumes;
  cgroups: PodCgroups;
  events: PodEvents;
  paths: PodPaths;
  backOff: BackOff;
  resizer: PodResizer;
  allocations: Allocations;
  clock: Clock;
  logger: Logger;
  runtimeName: string;
  hostIps: readonly string[];
  deviceHealth: (pod: Pod, container: Container) => DeviceHealth;
  facts: (podIps: readonly string[]) => Parameters<PodVolumes['refresh']>[1];
  admission: PodAdmission;
  removeContainer: (id: string) => Promise<void>;
  removeSandbox: (id: string) => Promise<void>;
  /** How often volumes follow the objects they show. */
  refreshMs: number;
  /** The object that shows the pod's status: itself, or the mirror of a static pod once there is one. */
  shownAs: (pod: Stored<Pod>) => Stored<Pod> | undefined;
  /** The first container of a pod that came to this node has started, so long after the pod was first seen. */
  onStarted: (seconds: number) => void;
  /** Nothing of the pod runs any more: its devices are free. */
  released: (uid: string) => void;
  /** Drops what is remembered of a pod that is gone. */
  forget: (uid: string) => void;
  /** Everything of the pod is gone from this node. */
  onDone: (worker: PodWorker) => void;
}
