import { podLimits, podRequests, qosClassOf, type Pod, type QosClass } from '@naru/api';
import { cri } from '@naru/proto';
import type { Clock, Logger } from '@naru/foundation';
import { cpuPeriodUs, cpuQuotaUs, cpuShares } from '../containers/resources';
import { hugePageName } from '../node/huge-pages';
import type { CgroupDriver } from './cgroup-driver';
import type { CgroupTree, CgroupValues } from './cgroup-tree';
import type { CgroupUsage } from './cgroup-usage';

const classNames: Record<QosClass, string[]> = {
  Guaranteed: [],
  Burstable: ['burstable'],
  BestEffort: ['besteffort'],
};

/** The limit of the pod, or of all containers together, or undefined as long as one has none. Source: pkg/kubelet/cm ResourceConfigForPod. */
function podLimit(pod: Pod, name: 'cpu' | 'memory'): number | undefined {
  const containers = [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? [])];
  const declared =
    pod.spec?.resources?.limits?.[name] !== undefined ||
    containers.every(({ resources }) => resources?.limits?.[name] !== undefined);
  return declared ? podLimits(pod).get(name) : undefined;
}

/** The values of a pod's own cgroup. */
export function podCgroupValues(
  pod: Pod,
  { podPidsLimit, hugePageSizes }: Pick<PodCgroupsDeps, 'podPidsLimit' | 'hugePageSizes'>,
): Required<CgroupValues> {
  const limits = podLimits(pod);
  const cpuLimit = podLimit(pod, 'cpu');
  return {
    cpuShares: cpuShares(podRequests(pod).get('cpu') ?? 0),
    cpuQuotaUs: cpuLimit === undefined ? 0 : cpuQuotaUs(cpuLimit),
    cpuPeriodUs,
    memoryLimitBytes: podLimit(pod, 'memory') ?? 0,
    maxPids: podPidsLimit,
    hugePages: hugePageSizes.map(pageBytes => ({ pageBytes, limitBytes: limits.get(hugePageName(pageBytes)) ?? 0 })),
  };
}

export interface PodCgroupsDeps {
  tree: CgroupTree;
  driver: CgroupDriver;
  usage: Pick<CgroupUsage, 'read'>;
  clock: Clock;
  /** What is above kubepods: "/naru". */
  root: string;
  logger: Logger;
  /** Most processes of one pod; 0 for no limit. */
  podPidsLimit: number;
  /** In bytes, of which this machine has set pages aside: who asks for none gets none. */
  hugePageSizes: readonly number[];
  /** Its containers have processors to themselves, and need no limit besides. */
  isExclusive?: (uid: string) => boolean;
  /** Limits of all pods together, where they are enforced. */
  allPods?: CgroupValues;
}

const killPollMs = 10;
const maxKillPolls = 10;

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** ROOT/kubepods/{burstable,besteffort}/podUID. Guaranteed pods are directly below kubepods, as upstream. */
export class PodCgroups {
  /** The cgroup above all pods. */
  readonly root: string;
  private readonly burstable = new Map<string, number>();
  /** What the class of burstable pods was last given, and the end of the last change of it. */
  private burstableShares = cpuShares(0);
  private weighed: Promise<void> = Promise.resolve();
  /** Set when this machine's cgroups cannot be written: pods run without limits of their own, containers keep theirs. */
  private refused = false;

  constructor(private readonly deps: PodCgroupsDeps) {
    this.root = this.path();
  }

  private path(...names: string[]): string {
    return this.deps.driver.path([this.deps.root, 'kubepods', ...names]);
  }

  private podPath(uid: string, qos: QosClass): string {
    return this.path(...classNames[qos], `pod${uid}`);
  }

  pathOf(pod: Pod): string {
    return this.podPath(pod.metadata?.uid ?? '', qosClassOf(pod));
  }

  /** Wherever its class has put it. */
  private places(uid: string): string[] {
    return Object.keys(classNames).map(qos => this.podPath(uid, qos as QosClass));
  }

  private values(pod: Pod): Required<CgroupValues> {
    const values = podCgroupValues(pod, this.deps);
    return this.deps.isExclusive?.(pod.metadata?.uid ?? '') ? { ...values, cpuQuotaUs: 0 } : values;
  }

  /** Bytes that a pod is to have and has (0: no limit), and those that it uses. */
  memory(pod: Pod): { limit: number; now: number; usage: number } {
    const { memoryBytes = 0, memoryLimitBytes = 0 } = this.deps.usage.read(this.pathOf(pod)) ?? {};
    return { limit: this.values(pod).memoryLimitBytes, now: memoryLimitBytes, usage: memoryBytes };
  }

  /** The same values for the runtime, which may keep them for the sandbox. */
  resources(pod: Pod): cri.LinuxContainerResources {
    const values = this.values(pod);
    return cri.LinuxContainerResources.fromPartial({
      cpuPeriod: values.cpuPeriodUs,
      cpuQuota: values.cpuQuotaUs,
      cpuShares: values.cpuShares,
      memoryLimitInBytes: values.memoryLimitBytes,
    });
  }

  /** Makes the cgroups above all pods, with what they may have together. Source: enforceNodeAllocatable. */
  async createRoot(): Promise<void> {
    const { driver, allPods = {} } = this.deps;
    await this.attempt(async () => {
      await driver.create(this.root, allPods);
      for (const names of [classNames.Burstable, classNames.BestEffort])
        await driver.create(this.path(...names), { cpuShares: cpuShares(0) });
    });
  }

  /** Makes the cgroup of a pod; without the right to do so it leaves it to the runtime. */
  async create(pod: Pod): Promise<void> {
    await this.attempt(async () => {
      await this.deps.driver.create(this.pathOf(pod), this.values(pod));
      await this.countBurstable(pod.metadata?.uid ?? '', pod);
    });
  }

  private async attempt(work: () => Promise<void>): Promise<void> {
    if (this.refused) return;
    try {
      await work();
    } catch (err) {
      const { code } = err as NodeJS.ErrnoException;
      if (code !== 'EROFS' && code !== 'EACCES' && code !== 'EPERM') throw err;
      this.refused = true;
      this.deps.logger.warn({ err, cgroup: this.root }, 'pod cgroups cannot be made, pods have no limits as a whole');
    }
  }

  /**
   * Removes the cgroup of a pod wherever its class put it, and kills what lives on in it although its containers have
   * ended. Source: pkg/kubelet/cm/pod_container_manager_linux.go.
   */
  async remove(uid: string): Promise<void> {
    await this.killProcesses(uid);
    for (const place of this.places(uid)) await this.deps.driver.remove(place);
    await this.attempt(() => this.countBurstable(uid, undefined));
  }

  processes(uid: string): number[] {
    return this.places(uid).flatMap(place => this.deps.tree.processes(place));
  }

  /** Waits for their end for a moment only: what cannot be killed now is tried again with the pod's removal. */
  private async killProcesses(uid: string): Promise<void> {
    for (let left = maxKillPolls; left > 0; left--) {
      // A process of another PID namespace shows as 0.
      const alive = this.processes(uid).filter(pid => pid > 0);
      if (alive.length === 0) return;
      this.deps.logger.info({ uid, pids: alive }, 'killing processes that have outlived their pod');
      for (const pid of alive) kill(pid);
      await this.deps.clock.sleep(killPollMs);
    }
  }

  /** Burstable pods together weigh what they request together. */
  private countBurstable(uid: string, pod: Pod | undefined): Promise<void> {
    if (pod && qosClassOf(pod) === 'Burstable') this.burstable.set(uid, podRequests(pod).get('cpu') ?? 0);
    else this.burstable.delete(uid);
    // One change after the other: of two that overtake each other the older sum would stay.
    const change = this.weighed.then(() => this.weighBurstable());
    this.weighed = change.catch(() => undefined);
    return change;
  }

  private async weighBurstable(): Promise<void> {
    const shares = cpuShares([...this.burstable.values()].reduce((sum, each) => sum + each, 0));
    if (shares === this.burstableShares) return;
    await this.deps.driver.create(this.path(...classNames.Burstable), { cpuShares: shares });
    this.burstableShares = shares;
  }
}
