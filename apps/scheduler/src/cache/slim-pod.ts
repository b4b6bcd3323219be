import { withResourcesInUse, type Pod, type PodSpec, type Stored } from '@naru/api';

type Container = PodSpec['containers'][number];

/**
 * What is asked about a pod that has a node already: a small part, and of most pods nothing else is kept. A pod that waits for a node
 * stays whole, for plugins and extenders may ask about anything in it.
 */
export function slimPod(pod: Stored<Pod>): Stored<Pod> {
  if (!pod.spec?.nodeName) return pod;
  // Of what its containers run with only the sum is asked for: it is kept as what they ask for.
  const { metadata, spec = pod.spec, status } = withResourcesInUse(pod);
  return {
    metadata: pick(
      metadata,
      'name',
      'namespace',
      'uid',
      'resourceVersion',
      'generation',
      'creationTimestamp',
      'deletionTimestamp',
      'labels',
    ),
    spec: {
      ...pick(spec, 'nodeName', 'schedulerName', 'priority', 'overhead', 'resources'),
      containers: spec.containers.map(slimContainer),
      ...(spec.initContainers ? { initContainers: spec.initContainers.map(slimContainer) } : {}),
      ...(spec.volumes?.some(isClaim) ? { volumes: spec.volumes.filter(isClaim) } : {}),
      ...(spec.affinity ? { affinity: pick(spec.affinity, 'podAffinity', 'podAntiAffinity') } : {}),
    },
    status: pick(status ?? {}, 'phase', 'startTime'),
  };
}

function slimContainer({ name, restartPolicy, resources, ports }: Container): Container {
  const onHost = ports?.filter(({ hostPort }) => hostPort);
  return {
    name,
    ...(restartPolicy ? { restartPolicy } : {}),
    ...(resources?.requests ? { resources: { requests: resources.requests } } : {}),
    ...(onHost?.length ? { ports: onHost } : {}),
  };
}

function isClaim({ persistentVolumeClaim, ephemeral }: NonNullable<PodSpec['volumes']>[number]): boolean {
  return persistentVolumeClaim !== undefined || ephemeral !== undefined;
}

/** The named fields, as far as they are there. */
function pick<T extends object, K extends keyof T>(object: T, ...keys: readonly K[]): Pick<T, K> {
  const picked = {} as Pick<T, K>;
  for (const key of keys) if (object[key] !== undefined) picked[key] = object[key];
  return picked;
}
