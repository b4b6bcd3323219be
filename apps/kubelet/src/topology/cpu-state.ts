import { Assignments } from './assignments';
import { difference, formatCpuSet, parseCpuSet, union, type CpuSet } from './cpu-set';

/** Which container has which processors to itself, kept in upstream's file cpu_manager_state. */
export class CpuState {
  private readonly given: Assignments<CpuSet>;

  /** `shared`: what nobody has to himself. */
  constructor(private readonly deps: { file: string; policy: string; everything: CpuSet }) {
    const { file, policy, everything } = deps;
    this.given = new Assignments<CpuSet>({
      ...{ file, policy, manager: 'CPU manager', encode: formatCpuSet },
      decode: text => parseCpuSet(text as string),
      summary: () => ({ defaultCpuSet: policy === 'none' ? '' : formatCpuSet(this.shared) }),
    });
    const read = this.given.load<{ defaultCpuSet: string }>();
    if (policy === 'none' || !read) return;
    const known = formatCpuSet(union(parseCpuSet(read.defaultCpuSet), this.exclusive));
    if (known !== formatCpuSet(everything)) {
      throw new Error(
        `current set of available CPUs "${formatCpuSet(everything)}" doesn't match with CPUs in state "${known}": ${this.given.advice}`,
      );
    }
  }

  get exclusive(): Set<number> {
    return union(...this.given.all);
  }

  get shared(): Set<number> {
    return difference(this.deps.everything, this.exclusive);
  }

  pods(): string[] {
    return this.given.pods();
  }

  get(pod: string, container: string): CpuSet | undefined {
    return this.given.get(pod, container);
  }

  set(pod: string, container: string, cpus: CpuSet): void {
    this.given.set(pod, [[container, cpus]]);
  }

  /** False when it had none. */
  remove(pod: string): boolean {
    return this.given.remove(pod);
  }
}
