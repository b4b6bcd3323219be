import { pods, type KubeObject, type Pod, type ResourceType, type Stored } from '@naru/api';
import { InformerFactory } from '@naru/client';
import { formatTime, silentLogger } from '@naru/foundation';
import { controllerSuite, type ProcessEnvironment, type Scenario } from '@naru/testing';
import { defaultConfig, type ControllerConfig } from './framework/config';
import type { Controller } from './framework/controller';
import { ClusterInformers } from './framework/informers';
import { runControllers } from './framework/run-controllers';

/** Tests only: the controller suite over controllers as they run in the process. */
export function convergenceSuite(
  controllers: readonly Controller[],
  scenario: Scenario,
  config: Partial<ControllerConfig> = {},
  rest: (path: string) => unknown = () => undefined,
): void {
  const start = (environment: ProcessEnvironment): void => {
    const factory = new InformerFactory({ ...environment, logger: silentLogger });
    const running = runControllers(controllers, {
      ...environment,
      informers: new ClusterInformers(factory),
      recorder: () => ({ record: () => undefined }),
      readPath: async <T>(path: string) => rest(path) as T,
      deletePath: async path => void rest(`DELETE ${path}`),
      logger: silentLogger,
      config: { ...defaultConfig, ...config },
    });
    void factory.start(environment.signal).then(() => running.begin());
  };
  controllerSuite(controllers.map(({ name }) => name).join(' and '), start, scenario);
}

export interface KubeletOptions {
  /** What becomes of a pod. Undefined: it stays Pending. */
  phaseOf?: (pod: Pod) => 'Running' | 'Succeeded' | 'Failed' | undefined;
  isReady?: (pod: Pod) => boolean;
}

/** Tests only: runs every pod that comes, wherever it is bound to, and lets those go that are being deleted. */
export function simulatedKubelet(options: KubeletOptions = {}): (environment: ProcessEnvironment) => void {
  const { phaseOf = () => 'Running', isReady = () => true } = options;
  return environment => {
    const { client, clock } = environment;
    const act = async (pod: Stored<Pod>): Promise<void> => {
      const { namespace, name, uid } = pod.metadata;
      await clock.sleep(100);
      if (pod.metadata.deletionTimestamp)
        return client.delete(pods, { namespace, name }, { gracePeriodSeconds: 0, preconditions: { uid } });
      const phase = phaseOf(pod);
      if (!phase || phase === pod.status?.phase) return;
      const status = phase === 'Running' && isReady(pod) ? 'True' : 'False';
      const conditions = [{ type: 'Ready', status, lastTransitionTime: formatTime(clock.now()) }];
      const body = { metadata: { uid }, status: { phase, conditions } };
      await client.patch(pods, { namespace, name }, { type: 'strategic', body }, { subresource: 'status' });
    };
    follow(environment, pods, act);
  };
}

/** Calls `act` with each object that comes or changes; what fails is left, as its next event brings it back. */
export function follow<T extends KubeObject>(
  environment: ProcessEnvironment,
  type: ResourceType<T>,
  act: (object: Stored<T>) => Promise<void>,
): void {
  const informer = new InformerFactory({ ...environment, logger: silentLogger }).informer({ type });
  const quietly = (object: Stored<T>): void => void act(object).catch(() => undefined);
  informer.addHandler({ onAdd: quietly, onUpdate: quietly });
  void informer.start(environment.signal);
}
