import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { Container, Pod } from '@naru/api';
import { cri } from '@naru/proto';
import { machine, writeSystemDevices } from '../testing/system-devices';
import { CpuManager } from './cpu-manager';
import { CpuTopology } from './cpu-topology';
import { MemoryManager } from './memory-manager';
import { readNumaMemory, type NumaMemory } from './numa-memory';
import { reservedByNode, reservedMemoryProblems } from './reserved-memory';
import { ResourceAdmission } from './resource-admission';
import { TopologyManager, type TopologyPolicy } from './topology-manager';

const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'kubelet-memory-'));
afterAll(() => fs.rmSync(directory, { recursive: true }));
let files = 0;
const mi = 2 ** 20;
const whole = { memoryBytes: 0, hugePages: new Map<number, number>() };

/** Nodes of 1000 MiB, of which 100 are in huge pages. */
function system(nodes = 2): string {
  const root = path.join(directory, `system-${files++}`);
  writeSystemDevices(root, machine({ sockets: nodes, nodesPerSocket: 1, coresPerNode: 4, threads: 1 }), {
    mebibytes: 1000,
    hugePages: 50,
  });
  return root;
}
const memory = (nodes = 2): NumaMemory[] => readNumaMemory(whole, system(nodes));

/** 100 MiB of node 0 are reserved: it has 800 to give, the others have 900. */
function manager(
  given: { nodes?: number; file?: string; policy?: 'None' | 'Static'; reserved?: string } = {},
): MemoryManager {
  const { nodes = 2, policy = 'Static', reserved = '100Mi' } = given;
  const all = memory(nodes);
  return new MemoryManager({
    ...{ policy, memory: all, file: given.file ?? path.join(directory, `state-${files++}`) },
    reserved:
      policy === 'None'
        ? new Map()
        : reservedByNode([{ numaNode: 0, limits: { memory: reserved } }], all, parseInt(reserved) * mi),
  });
}

const asks = (name: string, mebibytes: number, more: Record<string, string> = {}): Container => ({
  name,
  resources: { limits: { cpu: '1', memory: `${mebibytes}Mi`, ...more } },
});
const pod = (uid: string, ...containers: Container[]): Pod => ({ metadata: { uid }, spec: { containers } });
const every = (of: Pod): Container[] => [...(of.spec?.initContainers ?? []), ...(of.spec?.containers ?? [])];

/** Gives a pod what it asks for, and tells where each container's memory is. */
function given(memoryManager: MemoryManager, of: Pod): string {
  const uid = of.metadata?.uid ?? '';
  for (const each of every(of)) memoryManager.allocate(of, each, undefined);
  const nothing = cri.LinuxContainerResources.fromPartial({});
  return every(of)
    .map(({ name }) => memoryManager.apply(uid, name, nothing).cpusetMems || 'any')
    .join(' ');
}

describe('the memory of a machine', () => {
  it('is read by NUMA node, and is that of one node where the kernel knows none', () => {
    expect(memory()).toEqual([
      { id: 0, bytes: 1000 * mi, hugePages: new Map([['hugepages-2Mi', 100 * mi]]) },
      { id: 1, bytes: 1000 * mi, hugePages: new Map([['hugepages-2Mi', 100 * mi]]) },
    ]);
    const machineOf = { memoryBytes: 5 * mi, hugePages: new Map([[2 ** 30, 0]]) };
    expect(readNumaMemory(machineOf, path.join(directory, 'nowhere'))).toEqual([
      { id: 0, bytes: 5 * mi, hugePages: new Map([['hugepages-1Gi', 0]]) },
    ]);
  });
});

describe('the static policy for memory', () => {
  it('gives containers of Guaranteed pods memory of as few NUMA nodes as will do, and others any', () => {
    const own = manager();
    expect(given(own, pod('a', asks('c', 700)))).toBe('0');
    expect(given(own, pod('b', asks('c', 300), asks('d', 600)))).toBe('1 1');
    expect(given(own, pod('c', { name: 'c', resources: { requests: { memory: '10Mi' } } }))).toBe('any');
    expect(given(own, { ...pod('d', asks('c', 10)), spec: { containers: [asks('c', 10)], resources: {} } })).toBe(
      'any',
    );
    expect(given(own, pod('a', asks('c', 700)))).toBe('0');
    expect(given(manager({ policy: 'None' }), pod('a', asks('c', 700)))).toBe('any');
  });

  it('gives huge pages from the same NUMA nodes as memory', () => {
    const own = manager();
    expect(given(own, pod('a', asks('c', 10, { 'hugepages-2Mi': '60Mi' })))).toBe('0');
    expect(given(own, pod('b', asks('c', 10, { 'hugepages-2Mi': '60Mi' })))).toBe('1');
    expect(() => given(own, pod('c', asks('c', 10, { 'hugepages-2Mi': '60Mi' })))).toThrow(
      '[memorymanager] failed to get the default NUMA affinity, no NUMA nodes with enough memory is available',
    );
  });

  it('has a NUMA node serve alone or always with the same others', () => {
    const own = manager({ nodes: 3 });
    expect(given(own, pod('a', asks('c', 1000)))).toBe('0-1');
    // Node 0 and 1 have enough left, but serve no container alone any more.
    expect(given(own, pod('b', asks('c', 300)))).toBe('2');
    expect(given(own, pod('c', asks('c', 650)))).toBe('0-1');
    expect(() => given(own, pod('d', asks('c', 650)))).toThrow('failed to get the default NUMA affinity');
    own.release('a');
    own.release('c');
    expect(given(own, pod('e', asks('c', 300)))).toBe('0');
  });

  it('gives what init containers had to those that follow, and never what sidecars have', () => {
    const own = manager();
    const sidecar: Container = { ...asks('side', 100), restartPolicy: 'Always' };
    const of: Pod = {
      metadata: { uid: 'a' },
      spec: { initContainers: [asks('init', 800), sidecar], containers: [asks('c', 700)] },
    };
    expect(given(own, of)).toBe('0 0 0');
    expect(given(own, pod('b', asks('c', 900)))).toBe('1');
    expect(() => given(own, pod('c', asks('c', 1)))).toThrow('no NUMA nodes with enough memory');
  });

  it("keeps what it gave in upstream's file, and refuses one of another policy, machine or reservation", () => {
    const file = path.join(directory, 'memory_manager_state');
    given(manager({ file }), pod('a', asks('c', 700)));
    const state = JSON.parse(fs.readFileSync(file, 'utf8')) as Record<string, Record<string, object>>;
    expect(state).toMatchObject({
      policyName: 'Static',
      entries: { a: { c: [{ numaAffinity: [0], type: 'memory', size: 700 * mi }] } },
    });
    expect(state['machineState']?.['0']).toEqual({
      numberOfAssignments: 1,
      cells: [0],
      memoryMap: {
        memory: {
          total: 1000 * mi,
          systemReserved: 100 * mi,
          allocatable: 800 * mi,
          reserved: 700 * mi,
          free: 100 * mi,
        },
        'hugepages-2Mi': { total: 100 * mi, systemReserved: 0, allocatable: 100 * mi, reserved: 0, free: 100 * mi },
      },
    });
    const again = manager({ file });
    expect(given(again, pod('b', asks('c', 200)))).toBe('1');
    again.retain(uid => uid === 'a');
    expect(given(manager({ file }), pod('c', asks('c', 900)))).toBe('1');
    const different =
      '[memorymanager] the expected machine state is different from the real one: please drain this node';
    expect(() => manager({ file, reserved: '200Mi' })).toThrow(different);
    expect(() => manager({ file, nodes: 1 })).toThrow(different);
    expect(() => manager({ file, policy: 'None' })).toThrow(
      `configured policy "None" differs from state checkpoint policy "Static": please drain this node and delete the memory manager checkpoint file ${file}`,
    );
  });
});

describe('CPUs and memory together', () => {
  function admission(policy: TopologyPolicy, scope: 'container' | 'pod' = 'container') {
    const own = manager();
    const cpus = new CpuManager({
      ...{ policy: 'static', topology: CpuTopology.read(system()), reserved: new Set([0]), onChange: () => {} },
      options: { fullCoresOnly: false, strictReservation: false, acrossCores: false },
      file: path.join(directory, `cpus-${files++}`),
    });
    const topology = new TopologyManager({ policy, scope, nodes: [0, 1], providers: [cpus, own] });
    return { own, cpus, admission: new ResourceAdmission({ cpus, memory: own, topology }) };
  }
  const both = (name: string, cpu: number, mebibytes: number): Container => ({
    name,
    resources: { limits: { cpu: String(cpu), memory: `${mebibytes}Mi` } },
  });

  it('come from one NUMA node, and a pod for which no node has both is refused', () => {
    const { own, cpus, admission: single } = admission('single-numa-node');
    // Node 0 has three CPUs left, node 1 four.
    expect(single.admit(pod('a', both('c', 4, 100)))).toBeUndefined();
    expect([cpus.cpusOf('a', 'c'), given(own, pod('a', both('c', 4, 100)))]).toEqual(['4-7', '1']);
    expect(single.admit(pod('b', both('c', 2, 700)))).toBeUndefined();
    expect([cpus.cpusOf('b', 'c'), given(own, pod('b', both('c', 2, 700)))]).toEqual(['1-2', '0']);
    expect(single.admit(pod('c', both('c', 1, 700)))).toEqual({
      reason: 'TopologyAffinityError',
      message: 'Pod was rejected: Resources cannot be allocated with Topology locality',
    });
    // Nothing is left of what its first container was given.
    expect(single.admit(pod('d', asks('c', 100), both('d', 4, 100)))).toMatchObject({
      reason: 'TopologyAffinityError',
    });
    expect(single.admit(pod('e', both('c', 1, 100)))).toBeUndefined();
  });

  it('are added up for all containers in the scope of pods', () => {
    const { admission: apart } = admission('single-numa-node');
    expect(apart.admit(pod('a', both('c', 1, 600), both('d', 1, 600)))).toBeUndefined();
    const { admission: together } = admission('single-numa-node', 'pod');
    expect(together.admit(pod('a', both('c', 1, 600), both('d', 1, 600)))).toMatchObject({
      reason: 'TopologyAffinityError',
    });
  });

  it("says in upstream's words when memory is nowhere to be had, whatever the policy", () => {
    const { admission: any } = admission('none');
    expect(any.admit(pod('a', both('c', 1, 5000)))).toEqual({
      reason: 'UnexpectedAdmissionError',
      message:
        'Pod was rejected: Allocate failed due to [memorymanager] failed to get the default NUMA affinity, no NUMA nodes with enough memory is available, which is unexpected',
    });
    // Its CPU is on one node, its memory needs both.
    const { own, admission: best } = admission('best-effort');
    expect(best.admit(pod('b', both('c', 1, 1200)))).toBeUndefined();
    expect(given(own, pod('b', both('c', 1, 1200)))).toBe('0-1');
  });
});

describe('memory that is reserved by NUMA node', () => {
  const reserve = (limits: Record<string, string>, numaNode = 0, expected = 100 * mi) =>
    reservedByNode([{ numaNode, limits }], memory(), expected);

  it('must add up to what the node keeps from pods', () => {
    expect(reserve({ memory: '100Mi' })).toEqual(new Map([[0, new Map([['memory', 100 * mi]])]]));
    expect(() => reserve({ memory: '1Gi' })).toThrow(
      'the total amount "1Gi" of type "memory" is not equal to the value "100Mi" determined by Node Allocatable feature',
    );
    expect(() => reserve({ memory: '100Mi', 'hugepages-2Mi': '2Mi' })).toThrow(
      'the total amount "2Mi" of type "hugepages-2Mi" is not equal to the value "0"',
    );
    expect(() => reserve({ memory: '100Mi' }, 7)).toThrow(
      'the reserved memory configuration references a NUMA node 7 that does not exist on this machine',
    );
    expect(() => reservedByNode([], memory(), 0)).toThrow('you should specify the system reserved memory');
  });

  it('is checked before, each field by its name', () => {
    const limits = { memory: '0', cpu: '1', 'hugepages-2Mi': 'much' };
    expect(reservedMemoryProblems([{ numaNode: 0, limits: { memory: '1Gi' } }])).toEqual([]);
    expect(
      reservedMemoryProblems([
        { numaNode: 0, limits },
        { numaNode: 0, limits: { memory: '1Gi' } },
      ]),
    ).toEqual([
      'reserved memory may not be zero for NUMA node 0 and resource "memory"',
      'the limit type "cpu" for NUMA node 0 is not supported, only [memory hugepages-<HugePageSize>] is accepted',
      'reserved memory "much" for NUMA node 0 and resource "hugepages-2Mi" is no quantity',
      'the reserved memory has a duplicate value for NUMA node 0 and resource "memory"',
    ]);
    expect(reservedMemoryProblems([{ numaNode: '0' }])).toEqual([
      'reservedMemory: must be a list of a numaNode with its limits',
    ]);
  });
});
