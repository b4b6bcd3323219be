import { Assignments } from './assignments';
import type { NumaMemory } from './numa-memory';

/** So many bytes of memory, or of huge pages of a size, from some NUMA nodes. */
export interface MemoryBlock {
  numaAffinity: readonly number[];
  /** memory, hugepages-2Mi */
  type: string;
  size: number;
}

/** What a NUMA node has of a resource, in bytes. */
interface MemoryTable {
  total: number;
  systemReserved: number;
  allocatable: number;
  reserved: number;
  free: number;
}

/** A NUMA node as upstream's file tells of it. */
export interface NumaState {
  numberOfAssignments: number;
  memoryMap: Record<string, MemoryTable>;
  /** The nodes that are used together with it. */
  cells: readonly number[];
}

export type MachineState = Readonly<Record<number, NumaState>>;

interface MemoryStateDeps {
  file: string;
  policy: string;
  memory: readonly NumaMemory[];
  /** NUMA node → resource → bytes that are kept from pods. */
  reserved: ReadonlyMap<number, ReadonlyMap<string, number>>;
}

/** Which container has memory of which NUMA nodes, kept in upstream's file memory_manager_state. */
export class MemoryState {
  private readonly given: Assignments<readonly MemoryBlock[]>;

  /** Throws when the file tells of another policy, machine or reservation. */
  constructor(private readonly deps: MemoryStateDeps) {
    const { file, policy } = deps;
    this.given = new Assignments({
      ...{ file, policy, manager: 'memory manager' },
      encode: blocks => blocks,
      decode: blocks => blocks as MemoryBlock[],
      summary: () => ({ machineState: policy === 'None' ? {} : this.machine }),
    });
    const read = this.given.load<{ machineState: Record<number, NumaState> }>();
    if (policy === 'None' || !read) return;
    const exists = (node: number): boolean => deps.memory.some(({ id }) => id === node);
    const fits = this.given.all.flat().every(({ numaAffinity }) => numaAffinity.every(exists));
    if (!fits || shape(read.machineState) !== shape(this.machine)) {
      const problem = '[memorymanager] the expected machine state is different from the real one';
      throw new Error(`${problem}: ${this.given.advice}`);
    }
  }

  /** What is left where, after all that has been given. */
  get machine(): MachineState {
    const machine = this.unused();
    for (const block of this.given.all.flat()) take(machine, block);
    return machine;
  }

  pods(): string[] {
    return this.given.pods();
  }

  get(pod: string, container: string): readonly MemoryBlock[] | undefined {
    return this.given.get(pod, container);
  }

  set(pod: string, given: Iterable<[container: string, blocks: readonly MemoryBlock[]]>): void {
    this.given.set(pod, given);
  }

  /** False when it had none. */
  remove(pod: string): boolean {
    return this.given.remove(pod);
  }

  private unused(): MachineState {
    const { memory, reserved } = this.deps;
    return Object.fromEntries(
      memory.map(({ id, bytes, hugePages }) => {
        const table = (type: string, total: number, elsewhere: number): [string, MemoryTable] => {
          const systemReserved = reserved.get(id)?.get(type) ?? 0;
          const allocatable = Math.max(0, total - systemReserved - elsewhere);
          return [type, { total, systemReserved, allocatable, reserved: 0, free: allocatable }];
        };
        const huge = [...hugePages].map(([type, total]) => table(type, total, 0));
        const hugeBytes = [...hugePages.values()].reduce((sum, each) => sum + each, 0);
        const memoryMap = Object.fromEntries([...huge, table('memory', bytes, hugeBytes)]);
        return [id, { numberOfAssignments: 0, memoryMap, cells: [id] }];
      }),
    );
  }
}

/** What does not change by what is given. */
function shape(machine: MachineState): string {
  const nodes = Object.entries(machine).map(([node, { memoryMap }]) => {
    const tables = Object.entries(memoryMap).map(([type, { total, systemReserved, allocatable }]) =>
      [type, total, systemReserved, allocatable].join(),
    );
    return `${node}:${tables.sort().join(';')}`;
  });
  return nodes.sort().join('\n');
}

/** A block comes from its nodes one after the other. */
function take(machine: MachineState, { numaAffinity, type, size }: MemoryBlock): void {
  let left = size;
  for (const id of numaAffinity) {
    const node = machine[id];
    if (!node) continue;
    node.numberOfAssignments++;
    node.cells = numaAffinity;
    const table = node.memoryMap[type];
    if (!table) continue;
    const part = Math.min(left, table.free);
    table.free -= part;
    table.reserved += part;
    left -= part;
  }
}
