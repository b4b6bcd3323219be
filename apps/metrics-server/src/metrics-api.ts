import { parseFieldSelector, parseLabelSelector, type KubeObject, type Node, type Pod, type Stored } from '@naru/api';
import type { Lister } from '@naru/client';
import { StatusError, formatTime } from '@naru/foundation';
import type { Usage } from './usage';
import type { UsageStore } from './usage-store';

export const apiGroup = 'metrics.k8s.io';
export const apiVersion = 'v1beta1';
const groupVersion = `${apiGroup}/${apiVersion}`;

export interface MetricsApiDeps {
  nodes: Lister<Node>;
  pods: Lister<Pod>;
  store: UsageStore;
}

interface Selection {
  namespace?: string | undefined;
  query: URLSearchParams;
}

type Item = Record<string, unknown>;

/** The resources of metrics.k8s.io/v1beta1, answered from memory. Pure: a path in, a body out. */
export class MetricsApi {
  constructor(private readonly deps: MetricsApiDeps) {}

  /** @throws StatusError NotFound, BadRequest */
  get(path: string, query: URLSearchParams): unknown {
    const parts = path.split('/').filter(Boolean).map(decodeURIComponent);
    if (parts[0] !== 'apis' || parts[1] !== apiGroup) throw pageNotFound();
    if (parts.length === 2) return group;
    if (parts[2] !== apiVersion) throw pageNotFound();
    const [, , , first, ...rest] = parts;
    if (first === undefined) return resourceList;
    if (first === 'namespaces') {
      const [namespace, resource, name, ...more] = rest;
      if (resource !== 'pods' || more.length > 0) throw pageNotFound();
      return name === undefined ? this.listPods({ namespace, query }) : this.pod(namespace ?? '', name);
    }
    const [name, ...more] = rest;
    if (first === 'nodes' && more.length === 0) return name === undefined ? this.listNodes({ query }) : this.node(name);
    if (first === 'pods' && name === undefined) return this.listPods({ query });
    throw pageNotFound();
  }

  private node(name: string): Item {
    const node = this.deps.nodes.get({ name });
    const item = node && this.nodeItem(node);
    return item ?? missing('nodes', name);
  }

  private pod(namespace: string, name: string): Item {
    const pod = this.deps.pods.get({ namespace, name });
    const item = pod && this.podItem(pod);
    return item ?? missing('pods', name);
  }

  private listNodes({ query }: Selection): Item {
    const items = this.deps.nodes
      .list()
      .filter(selects(query))
      .flatMap(node => optional(this.nodeItem(node)));
    return list('NodeMetricsList', items);
  }

  private listPods({ namespace, query }: Selection): Item {
    const items = this.deps.pods
      .list(namespace)
      .filter(selects(query))
      .flatMap(pod => optional(this.podItem(pod)));
    return list('PodMetricsList', items);
  }

  private nodeItem({ metadata }: Stored<Node>): Item | undefined {
    const usage = this.deps.store.ofNode(metadata.name);
    if (!usage) return undefined;
    return {
      kind: 'NodeMetrics',
      apiVersion: groupVersion,
      metadata: metadataOf(metadata, usage.timeMs),
      ...windowOf(usage),
      usage: amounts(usage),
    };
  }

  private podItem({ metadata }: Stored<Pod>): Item | undefined {
    const { namespace = '', name } = metadata;
    const found = this.deps.store.ofPod(namespace, name);
    const [first] = found?.containers ?? [];
    if (!found || !first) return undefined;
    // One window for the pod: the shortest of its containers', as upstream has it.
    const window = found.containers.reduce(
      (shortest, { usage }) => (usage.windowMs < shortest.windowMs ? usage : shortest),
      first.usage,
    );
    return {
      kind: 'PodMetrics',
      apiVersion: groupVersion,
      metadata: metadataOf(metadata, window.timeMs),
      ...windowOf(window),
      containers: found.containers.map(container => ({ name: container.name, usage: amounts(container.usage) })),
    };
  }
}

function metadataOf({ name, namespace, labels }: Stored<Pod>['metadata'], timeMs: number): Item {
  return {
    name,
    ...(namespace ? { namespace } : {}),
    creationTimestamp: formatTime(timeMs),
    ...(labels ? { labels } : {}),
  };
}

function windowOf({ timeMs, windowMs }: Usage): Item {
  return { timestamp: formatTime(timeMs), window: `${Number((windowMs / 1000).toFixed(3))}s` };
}

/** In the units that metrics-server writes: nanocores and kibibytes. */
function amounts({ cpuCores, memoryBytes }: Usage): Record<string, string> {
  const nanocores = Math.max(0, Math.round(cpuCores * 1e9));
  return { cpu: nanocores === 0 ? '0' : `${nanocores}n`, memory: `${Math.ceil(memoryBytes / 1024)}Ki` };
}

function list(kind: string, items: Item[]): Item {
  return { kind, apiVersion: groupVersion, metadata: {}, items };
}

function optional<T>(value: T | undefined): T[] {
  return value === undefined ? [] : [value];
}

const selectable = {
  selectableFieldNames: ['metadata.name', 'metadata.namespace'],
  selectableFields: ({ metadata }: KubeObject) => ({
    'metadata.name': metadata?.name ?? '',
    'metadata.namespace': metadata?.namespace ?? '',
  }),
};

function selects(query: URLSearchParams): (object: Stored<Node | Pod>) => boolean {
  const labels = parseLabelSelector(query.get('labelSelector') ?? '');
  const fields = parseFieldSelector(query.get('fieldSelector') ?? '', selectable);
  return object => labels.matches(object.metadata.labels ?? {}) && fields.matches(object);
}

function pageNotFound(): StatusError {
  return new StatusError('NotFound', 'the server could not find the requested resource');
}

function missing(resource: string, name: string): never {
  const details = { group: apiGroup, kind: resource, name };
  throw new StatusError('NotFound', `${resource}.${apiGroup} "${name}" not found`, { details });
}

const version = { groupVersion, version: apiVersion };
const group = { kind: 'APIGroup', apiVersion: 'v1', name: apiGroup, versions: [version], preferredVersion: version };
const resourceList = {
  kind: 'APIResourceList',
  apiVersion: 'v1',
  groupVersion,
  resources: [
    { name: 'nodes', singularName: '', namespaced: false, kind: 'NodeMetrics', verbs: ['get', 'list'] },
    { name: 'pods', singularName: '', namespaced: true, kind: 'PodMetrics', verbs: ['get', 'list'] },
  ],
};
