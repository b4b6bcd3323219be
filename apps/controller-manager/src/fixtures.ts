import type { Deployment, Node, Pod, ReplicaSet, Stored } from '@naru/api';
import { silentLogger, systemClock, type Clock } from '@naru/foundation';
import { MemoryObjects } from '@naru/testing';
import { defaultConfig, type ControllerConfig } from './framework/config';
import type { Controller } from './framework/controller';
import { ClusterInformers } from './framework/informers';
import { runControllers } from './framework/run-controllers';

/** Tests only: controllers over the API in memory. */
export interface Cluster {
  api: MemoryObjects;
  events: { reason: string; message: string; about: string }[];
  stop(): Promise<void>;
}

function noRest(path: string): never {
  throw new Error(`nothing is served at ${path}`);
}

export async function startControllers(
  controllers: readonly Controller[],
  options: {
    api?: MemoryObjects;
    config?: Partial<ControllerConfig>;
    clock?: Clock;
    /** Answers what is read by REST. */
    rest?: (path: string) => unknown;
  } = {},
): Promise<Cluster> {
  const { api = new MemoryObjects(), config = {}, clock = systemClock, rest = noRest } = options;
  const abort = new AbortController();
  const factory = api.informers();
  const events: Cluster['events'] = [];
  const running = runControllers(controllers, {
    client: api,
    informers: new ClusterInformers(factory),
    recorder: () => ({
      record: (about, { reason, message }) => void events.push({ reason, message, about: about.metadata?.name ?? '' }),
    }),
    readPath: async <T>(path: string) => rest(path) as T,
    deletePath: async path => void rest(`DELETE ${path}`),
    logger: silentLogger,
    clock,
    config: { ...defaultConfig, ...config },
    signal: abort.signal,
  });
  await factory.start(abort.signal);
  running.begin();
  return {
    api,
    events,
    async stop() {
      abort.abort();
      await running.stop();
    },
  };
}

export function makeDeployment(
  name: string,
  spec: Partial<NonNullable<Deployment['spec']>> = {},
  image = 'web:1',
): Deployment {
  const labels = { app: name };
  return {
    metadata: { namespace: 'default', name },
    spec: {
      replicas: 3,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers: [{ name: 'main', image }] } },
      ...spec,
    },
  };
}

export function makeReplicaSet(name: string, replicas: number, input: Partial<ReplicaSet> = {}): Stored<ReplicaSet> {
  const labels = { app: name };
  return {
    ...input,
    metadata: { ...input.metadata, namespace: 'default', name, uid: name, resourceVersion: '1' },
    spec: {
      replicas,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers: [{ name: 'main', image: 'web:1' }] } },
      ...input.spec,
    },
  };
}

export interface PodInput {
  namespace?: string;
  labels?: Record<string, string>;
  nodeName?: string;
  ready?: boolean;
  phase?: string;
  ip?: string;
  spec?: Partial<NonNullable<Pod['spec']>>;
  metadata?: Pod['metadata'];
}

export function makePod(name: string, input: PodInput = {}): Stored<Pod> {
  const { namespace = 'default', labels = {}, nodeName, ready = false, phase = 'Running', ip, spec, metadata } = input;
  return {
    metadata: {
      creationTimestamp: '2026-01-01T00:00:00Z',
      labels,
      ...metadata,
      namespace,
      name,
      uid: `uid-${name}`,
      resourceVersion: '1',
    },
    spec: { containers: [{ name: 'main', image: 'web:1' }], ...(nodeName ? { nodeName } : {}), ...spec },
    status: {
      phase,
      conditions: [{ type: 'Ready', status: ready ? 'True' : 'False', lastTransitionTime: '2026-01-01T00:00:00Z' }],
      ...(ip ? { podIP: ip, podIPs: [{ ip }] } : {}),
    },
  };
}

export function makeNode(name: string, input: Partial<Node> = {}, ready = true): Stored<Node> {
  return {
    metadata: { name, uid: `uid-${name}`, resourceVersion: '1' },
    spec: {},
    status: { conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }] },
    ...input,
  } as Stored<Node>;
}
