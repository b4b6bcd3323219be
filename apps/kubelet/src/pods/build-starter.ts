import type { Pod, Service } from '@naru/api';
import type { Informer } from '@naru/client';
import type { Grants } from '../containers/build-grants';
import { knownServices } from '../containers/known-services';
import { ImagePuller } from '../images/image-puller';
import { pullRecords } from '../images/pull-records';
import type { Surroundings } from '../surroundings';
import type { Volumes } from '../volumes/build-volumes';
import type { PodKiller } from './pod-killer';
import { PodStarter } from './pod-starter';
import { runtimeHandler } from './runtime-handler';
import type { RuntimeReader } from './runtime-state';
import { UserNamespaces, subordinateIds } from './user-namespaces';

export interface StarterDeps extends Surroundings, Grants, Volumes {
  services: Informer<Service>;
  reader: RuntimeReader;
  killer: PodKiller;
  isStatic: (pod: Pod) => boolean;
}

/** What makes a pod run: its images, its user namespace, its containers. */
export interface StarterParts {
  starter: PodStarter;
  puller: ImagePuller;
  userNamespaces: UserNamespaces;
}

export function buildStarter(deps: StarterDeps): StarterParts {
  const { configuration, client, runtime, paths, clock, logger, maxPods, services } = deps;
  const now = (): number => clock.now();
  const puller = new ImagePuller({
    ...{ client: runtime, objects: deps.objects, events: deps.events, logger, now, metrics: deps.metrics },
    records: pullRecords(deps.rootDir, configuration, now),
    maxParallelPulls: configuration.serializeImagePulls ? 1 : configuration.maxParallelImagePulls,
  });
  const pool = subordinateIds();
  const userNamespaces = new UserNamespaces({
    ...{ paths, logger, maxPods, idsPerPod: configuration.userNamespaces.idsPerPod, ...(pool ? { pool } : {}) },
    handlers: async () => (await runtime.status()).runtimeHandlers,
  });
  const starter = new PodStarter({
    ...deps,
    ...{ client: runtime, puller, userNamespaces, seccompDefault: configuration.seccompDefault },
    // What runs without an api-server does not wait for one.
    services: async pod => (deps.isStatic(pod) ? services.lister.list() : knownServices(services, clock)),
    runtimeHandler: name => runtimeHandler(client, name),
  });
  return { starter, puller, userNamespaces };
}
