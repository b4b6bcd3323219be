import fs from 'node:fs';
import path from 'node:path';
import type { Container, Pod } from '@naru/api';
import type { PodPaths } from './pod-paths';

export type ContainerResources = NonNullable<Container['resources']>;
/** Container name, or nothing for the pod as a whole → what this node has given to it. */
type Allocation = Record<string, ContainerResources>;

const whole = '';

function allContainers(pod: Pod): Container[] {
  return [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? [])];
}

function given(allocation: Allocation, containers: Container[] | undefined): Container[] | undefined {
  return containers?.map(container => {
    const resources = allocation[container.name];
    return resources === undefined ? container : { ...container, resources };
  });
}

/**
 * What this node has given to its pods, which after a resize may be less than what they ask for. Kept beside the files of
 * each pod, so that a restart of the kubelet gives nothing away twice.
 */
export class Allocations {
  private readonly known = new Map<string, Allocation>();

  constructor(private readonly paths: PodPaths) {}

  /** The pod with what it was given in place of what it asks for; as it is when nothing is known of it. */
  allocated<P extends Pod>(pod: P): P {
    const allocation = this.of(pod.metadata?.uid ?? '');
    if (!allocation || !pod.spec) return pod;
    const containers = given(allocation, pod.spec.containers) ?? [];
    const initContainers = given(allocation, pod.spec.initContainers);
    const { resources: _, ...spec } = pod.spec;
    const resources = allocation[whole];
    return {
      ...pod,
      spec: { ...spec, containers, ...(initContainers ? { initContainers } : {}), ...(resources ? { resources } : {}) },
    };
  }

  /** Gives a pod what it asks for. */
  give(pod: Pod): void {
    const uid = pod.metadata?.uid ?? '';
    const allocation: Allocation = {};
    for (const { name, resources } of allContainers(pod)) allocation[name] = resources ?? {};
    if (pod.spec?.resources) allocation[whole] = pod.spec.resources;
    const file = this.file(uid);
    fs.mkdirSync(path.dirname(file), { recursive: true, mode: 0o750 });
    fs.writeFileSync(`${file}.new`, JSON.stringify(allocation), { mode: 0o600 });
    fs.renameSync(`${file}.new`, file);
    this.known.set(uid, allocation);
  }

  forget(uid: string): void {
    this.known.delete(uid);
  }

  private of(uid: string): Allocation | undefined {
    const known = this.known.get(uid);
    if (known) return known;
    let read: Allocation | undefined;
    try {
      read = JSON.parse(fs.readFileSync(this.file(uid), 'utf8')) as Allocation;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      return undefined;
    }
    this.known.set(uid, read);
    return read;
  }

  private file(uid: string): string {
    return path.join(this.paths.pod(uid), 'allocated.json');
  }
}
