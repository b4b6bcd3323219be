import fs from 'node:fs';
import { difference, formatCpuSet, parseCpuSet, union, type CpuSet } from './cpu-set';

interface Checkpoint {
  policyName: string;
  defaultCpuSet: string;
  entries?: Record<string, Record<string, string>>;
  checksum: number;
}

/** Which container has which processors to itself, kept in upstream's file cpu_manager_state. */
export class CpuState {
  /** Pod → container → processors. */
  private readonly entries = new Map<string, Map<string, CpuSet>>();

  /** `shared`: what nobody has to himself. */
  constructor(private readonly deps: { file: string; policy: string; everything: CpuSet }) {
    this.load();
  }

  get exclusive(): Set<number> {
    return union(...[...this.entries.values()].flatMap(containers => [...containers.values()]));
  }

  get shared(): Set<number> {
    return difference(this.deps.everything, this.exclusive);
  }

  pods(): string[] {
    return [...this.entries.keys()];
  }

  get(pod: string, container: string): CpuSet | undefined {
    return this.entries.get(pod)?.get(container);
  }

  set(pod: string, container: string, cpus: CpuSet): void {
    const containers = this.entries.get(pod) ?? new Map<string, CpuSet>();
    this.entries.set(pod, containers.set(container, cpus));
    this.save();
  }

  /** False when it had none. */
  remove(pod: string): boolean {
    const had = this.entries.delete(pod);
    if (had) this.save();
    return had;
  }

  private save(): void {
    const { file, policy } = this.deps;
    const entries = Object.fromEntries(
      [...this.entries].map(([pod, containers]) => [
        pod,
        Object.fromEntries([...containers].map(([name, cpus]) => [name, formatCpuSet(cpus)])),
      ]),
    );
    const defaultCpuSet = policy === 'none' ? '' : formatCpuSet(this.shared);
    // Upstream takes 0 for a file whose sum nobody has made.
    const checkpoint: Checkpoint = { policyName: policy, defaultCpuSet, entries, checksum: 0 };
    fs.writeFileSync(`${file}.new`, JSON.stringify(checkpoint), { mode: 0o600 });
    fs.renameSync(`${file}.new`, file);
  }

  private load(): void {
    const { file, policy, everything } = this.deps;
    if (!fs.existsSync(file)) return this.save();
    const advice = `please drain this node and delete the CPU manager checkpoint file ${file} before restarting Kubelet`;
    const read = JSON.parse(fs.readFileSync(file, 'utf8')) as Checkpoint;
    if (read.policyName !== policy) {
      throw new Error(
        `configured policy "${policy}" differs from state checkpoint policy "${read.policyName}": ${advice}`,
      );
    }
    for (const [pod, containers] of Object.entries(read.entries ?? {})) {
      const sets = Object.entries(containers).map(([name, cpus]) => [name, parseCpuSet(cpus)] as const);
      this.entries.set(pod, new Map(sets));
    }
    const known = formatCpuSet(union(parseCpuSet(read.defaultCpuSet), this.exclusive));
    if (policy !== 'none' && known !== formatCpuSet(everything)) {
      throw new Error(
        `current set of available CPUs "${formatCpuSet(everything)}" doesn't match with CPUs in state "${known}": ${advice}`,
      );
    }
  }
}
