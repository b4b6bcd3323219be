import path from 'node:path';
import { quantityMilliValue, quantityValue, podRequests, type Container, type Pod } from '@naru/api';
import { cri } from '@naru/proto';
import type { Logger } from '@naru/foundation';
import { qosClass, type QosClass } from '../containers/qos';
import { cpuPeriodUs, cpuQuotaUs, cpuShares } from '../containers/resources';
import { isSidecar } from '../pods/restart-rule';
import type { CgroupTree, CgroupValues } from './cgroup-tree';

const classFolder: Record<QosClass, string> = { Guaranteed: '', Burstable: 'burstable', BestEffort: 'besteffort' };

/** The limit of all containers together, or undefined as long as one has none. Init containers run before them. */
function podLimit(pod: Pod, read: (container: Container) => number | undefined): number | undefined {
  let total = 0;
  let peak = 0;
  for (const container of pod.spec?.initContainers ?? []) {
    const limit = read(container);
    if (limit === undefined) return undefined;
    if (isSidecar(container)) total += limit;
    else peak = Math.max(peak, total + limit);
  }
  for (const container of pod.spec?.containers ?? []) {
    const limit = read(container);
    if (limit === undefined) return undefined;
    total += limit;
  }
  return Math.max(total, peak);
}

/** The values of a pod's own cgroup. Source: pkg/kubelet/cm ResourceConfigForPod. */
export function podCgroupValues(pod: Pod, podPidsLimit: number): Required<CgroupValues> {
  const requests = podRequests(pod);
  const limitOf = (name: string, parse: (text: string) => number) => (container: Container) => {
    const text = container.resources?.limits?.[name];
    return text === undefined ? undefined : parse(text);
  };
  const cpuLimit = podLimit(pod, limitOf('cpu', quantityMilliValue));
  const memoryLimit = podLimit(pod, limitOf('memory', quantityValue));
  return {
    cpuShares: cpuShares(requests.get('cpu') ?? 0),
    cpuQuotaUs: cpuLimit === undefined ? 0 : cpuQuotaUs(cpuLimit),
    cpuPeriodUs,
    memoryLimitBytes: memoryLimit ?? 0,
    maxPids: podPidsLimit,
  };
}

export interface PodCgroupsDeps {
  tree: CgroupTree;
  /** Above all pods: "/naru". */
  root: string;
  logger: Logger;
  /** Most processes of one pod; 0 for no limit. */
  podPidsLimit: number;
  /** Limits of all pods together, where they are enforced. */
  allPods?: CgroupValues;
}

/** ROOT/kubepods/{burstable,besteffort}/podUID. Guaranteed pods are directly below kubepods, as upstream. */
export class PodCgroups {
  /** The cgroup above all pods. */
  readonly root: string;
  private readonly burstable = new Map<string, number>();
  /** Set when this machine's cgroups cannot be written: pods run without limits of their own, containers keep theirs. */
  private refused = false;

  constructor(private readonly deps: PodCgroupsDeps) {
    this.root = path.join(deps.root, 'kubepods');
  }

  pathOf(pod: Pod): string {
    return path.join(this.root, classFolder[qosClass(pod)], `pod${pod.metadata?.uid ?? ''}`);
  }

  /** The same values for the runtime, which may keep them for the sandbox. */
  resources(pod: Pod): cri.LinuxContainerResources {
    const values = podCgroupValues(pod, this.deps.podPidsLimit);
    return cri.LinuxContainerResources.fromPartial({
      cpuPeriod: values.cpuPeriodUs,
      cpuQuota: values.cpuQuotaUs,
      cpuShares: values.cpuShares,
      memoryLimitInBytes: values.memoryLimitBytes,
    });
  }

  /** Makes the cgroup above all pods, with what they may have together. Source: enforceNodeAllocatable. */
  createRoot(): void {
    this.attempt(() => this.deps.tree.create(this.root, this.deps.allPods ?? {}));
  }

  /** Makes the cgroup of a pod; without the right to do so it leaves it to the runtime. */
  create(pod: Pod): void {
    this.attempt(() => {
      this.deps.tree.create(this.pathOf(pod), podCgroupValues(pod, this.deps.podPidsLimit));
      this.countBurstable(pod.metadata?.uid ?? '', pod);
    });
  }

  private attempt(work: () => void): void {
    if (this.refused) return;
    try {
      work();
    } catch (err) {
      const { code } = err as NodeJS.ErrnoException;
      if (code !== 'EROFS' && code !== 'EACCES' && code !== 'EPERM') throw err;
      this.refused = true;
      this.deps.logger.warn({ err, cgroup: this.root }, 'pod cgroups cannot be made, pods have no limits as a whole');
    }
  }

  /** Removes the cgroup of a pod wherever its class put it. */
  remove(uid: string): void {
    for (const folder of Object.values(classFolder)) {
      this.deps.tree.remove(path.join(this.root, folder, `pod${uid}`));
    }
    this.countBurstable(uid, undefined);
  }

  processes(uid: string): number[] {
    return Object.values(classFolder).flatMap(folder =>
      this.deps.tree.processes(path.join(this.root, folder, `pod${uid}`)),
    );
  }

  /** Burstable pods together weigh what they request together; best-effort ones next to nothing. */
  private countBurstable(uid: string, pod: Pod | undefined): void {
    const known = this.burstable.has(uid);
    if (pod && qosClass(pod) === 'Burstable') this.burstable.set(uid, podRequests(pod).get('cpu') ?? 0);
    else if (!known) return;
    else this.burstable.delete(uid);
    const total = [...this.burstable.values()].reduce((sum, each) => sum + each, 0);
    this.deps.tree.write(path.join(this.root, classFolder.Burstable), { cpuShares: cpuShares(total) });
    this.deps.tree.write(path.join(this.root, classFolder.BestEffort), { cpuShares: cpuShares(0) });
  }
}
