import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { Container, Pod } from '@naru/api';
import { cri } from '@naru/proto';
import { machine, writeSystemDevices } from '../testing/system-devices';
import { CpuManager } from './cpu-manager';
import { formatCpuSet, parseCpuSet } from './cpu-set';
import { CpuTopology } from './cpu-topology';
import type { Hint, HintProvider } from './hints';
import { MemoryManager } from './memory-manager';
import { ResourceAdmission } from './resource-admission';
import { takeCpus } from './take-cpus';
import { TopologyManager, type TopologyPolicy } from './topology-manager';

const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'kubelet-topology-'));
afterAll(() => fs.rmSync(directory, { recursive: true }));
let files = 0;

/** Two sockets of four cores with two threads each: 0-3,8-11 and 4-7,12-15. */
const twoSockets = (): CpuTopology => {
  const root = path.join(directory, `system-${files++}`);
  writeSystemDevices(root, machine({ sockets: 2, nodesPerSocket: 1, coresPerNode: 4, threads: 2 }));
  return CpuTopology.read(root);
};

const pod = (uid: string, ...cpus: string[]): Pod => ({
  metadata: { uid },
  spec: {
    containers: cpus.map((cpu, index) => ({ name: `c${index}`, resources: { limits: { cpu, memory: '1Mi' } } })),
  },
});
const container = (of: Pod, index = 0): Container => of.spec?.containers[index] as Container;

type Options = ConstructorParameters<typeof CpuManager>[0]['options'];

/** Memory is given to nobody. */
const noMemory = new MemoryManager({
  ...{ policy: 'None', memory: [], reserved: new Map() },
  file: path.join(directory, 'memory_manager_state'),
});

function manager(options: Partial<Options> = {}, file = path.join(directory, `state-${files++}`)): CpuManager {
  const all = { fullCoresOnly: false, strictReservation: false, acrossCores: false, ...options };
  const reserved = parseCpuSet('0,8');
  return new CpuManager({ policy: 'static', topology: twoSockets(), reserved, options: all, file, onChange: () => {} });
}

describe('the topology of a machine', () => {
  it('is read from what the kernel shows', () => {
    const topology = twoSockets();
    expect(formatCpuSet(topology.all)).toBe('0-15');
    expect(topology.nodes).toEqual([0, 1]);
    expect(topology.threadsPerCore).toBe(2);
    expect([...topology.groups(topology.all, 'socket').values()].map(formatCpuSet)).toEqual(['0-3,8-11', '4-7,12-15']);
    expect(() => parseCpuSet('3-1')).toThrow('"3-1" is no list of CPUs');
  });

  it.each([
    [8, '0-15', '0-3,8-11'],
    [10, '0-15', '0-4,8-12'],
    [2, '1-15', '1,9'],
    [1, '1-15', '8'],
    [3, '0-15', '0-1,8'],
    [8, '0-2,4-15', '4-7,12-15'],
    [2, '0-2,4-5,8-10,12-13', '4,12'],
  ])('%i of %s are %s: whole sockets, then whole cores, then what leaves most whole', (count, free, taken) => {
    expect(formatCpuSet(takeCpus(twoSockets(), parseCpuSet(free), count))).toBe(taken);
  });
});

describe('the static policy for CPUs', () => {
  const given = (cpus: CpuManager, of: Pod, nodes?: number[]): string => {
    for (const each of of.spec?.containers ?? []) cpus.allocate(of, each, nodes);
    return (of.spec?.containers ?? []).map(({ name }) => cpus.cpusOf(of.metadata?.uid ?? '', name)).join(' ');
  };

  it('gives whole CPUs to containers of Guaranteed pods, and takes them from what all others share', () => {
    const cpus = manager();
    expect(given(cpus, pod('a', '2', '500m'))).toBe('1,9 0,2-8,10-15');
    expect(
      given(cpus, { ...pod('b'), spec: { containers: [{ name: 'c0', resources: { requests: { cpu: '2' } } }] } }),
    ).toBe('0,2-8,10-15');
    expect(given(cpus, pod('a', '2', '500m'))).toBe('1,9 0,2-8,10-15');
    cpus.release('a');
    expect(cpus.cpusOf('b', 'c0')).toBe('0-15');
  });

  it('never gives away what is reserved, and says when too little is left', () => {
    const cpus = manager();
    expect(given(cpus, pod('a', '14'))).toBe('1-7,9-15');
    expect(() => given(cpus, pod('b', '1'))).toThrow(
      'not enough cpus available to satisfy request: requested=1, available=0',
    );
    expect(cpus.cpusOf('b', 'c0')).toBe('0,8');
    expect(manager({ strictReservation: true }).cpusOf('x', 'y')).toBe('1-7,9-15');
  });

  it('takes only whole cores, or one thread of each core, when its options say so', () => {
    expect(() => given(manager({ fullCoresOnly: true }), pod('a', '3'))).toThrow(
      'SMT Alignment Error: requested 3 cpus not multiple cpus per core = 2',
    );
    expect(given(manager({ acrossCores: true }), pod('a', '4'))).toMatch(/^(\d+[,-]?)+$/);
    const spread = parseCpuSet(given(manager({ acrossCores: true }), pod('a', '4')));
    expect(new Set([...spread].map(id => id % 8)).size).toBe(4);
  });

  it('gives what an init container had to those that follow', () => {
    const cpus = manager();
    const of = pod('a', '2');
    const init = { name: 'init', resources: { limits: { cpu: '14', memory: '1Mi' } } };
    const both = { ...of, spec: { ...of.spec, containers: of.spec?.containers ?? [], initContainers: [init] } };
    cpus.allocate(both, init, undefined);
    expect(given(cpus, both)).toBe('1,9');
  });

  it('does not hold who has CPUs to himself to a share of them', () => {
    const cpus = manager();
    const limits = cri.LinuxContainerResources.fromPartial({ cpuQuota: 200_000n });
    given(cpus, pod('a', '2', '500m'));
    expect(cpus.apply('a', 'c0', limits)).toMatchObject({ cpusetCpus: '1,9', cpuQuota: -1n });
    expect(cpus.apply('a', 'c1', limits)).toMatchObject({ cpusetCpus: '0,2-8,10-15', cpuQuota: 200_000n });
  });

  it("keeps what it gave in upstream's file, and refuses one of another policy or machine", () => {
    const file = path.join(directory, 'cpu_manager_state');
    given(manager({}, file), pod('a', '2'));
    expect(JSON.parse(fs.readFileSync(file, 'utf8'))).toEqual({
      policyName: 'static',
      defaultCpuSet: '0,2-8,10-15',
      entries: { a: { c0: '1,9' } },
      checksum: 0,
    });
    const again = manager({}, file);
    expect(again.cpusOf('a', 'c0')).toBe('1,9');
    again.retain(() => false);
    expect(manager({}, file).cpusOf('a', 'c0')).toBe('0-15');
    const state = JSON.parse(fs.readFileSync(file, 'utf8')) as object;
    fs.writeFileSync(file, JSON.stringify({ ...state, defaultCpuSet: '0-3' }));
    expect(() => manager({}, file)).toThrow(
      'current set of available CPUs "0-15" doesn\'t match with CPUs in state "0-3"',
    );
    fs.writeFileSync(file, JSON.stringify({ ...state, policyName: 'none' }));
    expect(() => manager({}, file)).toThrow(
      'configured policy "static" differs from state checkpoint policy "none": please drain this node',
    );
  });
});

describe('the topology manager', () => {
  const hint = (nodes: number[] | undefined, preferred: boolean): Hint => ({ nodes, preferred });
  const provider = (resource: string, hints: Hint[] | undefined): HintProvider => ({
    hints: () => new Map([[resource, hints]]),
  });
  const verdict = (policy: TopologyPolicy, ...lists: (Hint[] | undefined)[]): string => {
    const providers = lists.map((hints, index) => provider(`r${index}`, hints));
    const topology = new TopologyManager({ policy, scope: 'container', nodes: [0, 1], providers });
    const of = pod('a', '1');
    const aligned = topology.align(of, container(of));
    return `${aligned ? 'in' : 'out'} ${topology.affinity('a', 'c0')?.join() ?? 'any'}`;
  };
  const either = [hint([0], true), hint([1], true), hint([0, 1], false)];
  const second = [hint([1], true), hint([0, 1], false)];
  const both = [hint([0, 1], true)];
  const scattered = [hint([0, 1], false)];

  it.each<[TopologyPolicy, (Hint[] | undefined)[], string]>([
    ['none', [[]], 'in any'],
    ['best-effort', [either, second], 'in 1'],
    ['best-effort', [either, undefined], 'in 0'],
    ['best-effort', [either, scattered], 'in any'],
    ['best-effort', [[]], 'in any'],
    ['restricted', [either, second], 'in 1'],
    ['restricted', [both], 'in any'],
    ['restricted', [either, scattered], 'out any'],
    ['restricted', [[]], 'out any'],
    ['single-numa-node', [either, second], 'in 1'],
    ['single-numa-node', [both], 'out any'],
    ['single-numa-node', [], 'in any'],
  ])('%s of %j is %s', (policy, lists, expected) => expect(verdict(policy, ...lists)).toBe(expected));

  const admission = (policy: TopologyPolicy, cpus: CpuManager, scope: 'container' | 'pod' = 'container') => {
    const topology = new TopologyManager({ policy, scope, nodes: [0, 1], providers: [cpus] });
    return new ResourceAdmission({ cpus, memory: noMemory, topology });
  };

  it("has CPUs come from one node, and refuses a pod for which there are too few in upstream's words", () => {
    const cpus = manager();
    const single = admission('single-numa-node', cpus);
    expect(single.admit(pod('a', '4'))).toBeUndefined();
    expect(single.admit(pod('b', '4'))).toBeUndefined();
    expect([cpus.cpusOf('a', 'c0'), cpus.cpusOf('b', 'c0')]).toEqual(['1-2,9-10', '4-5,12-13']);
    expect(single.admit(pod('c', '4', '4'))).toEqual({
      reason: 'TopologyAffinityError',
      message: 'Pod was rejected: Resources cannot be allocated with Topology locality',
    });
    // What its first container was given is free again.
    expect(single.admit(pod('d', '4'))).toBeUndefined();
    expect(admission('restricted', manager()).admit(pod('e', '10'))).toBeUndefined();
  });

  it('looks at all containers of a pod together in the scope of pods', () => {
    expect(admission('single-numa-node', manager()).admit(pod('a', '6', '6'))).toBeUndefined();
    expect(admission('single-numa-node', manager(), 'pod').admit(pod('a', '6', '6'))).toMatchObject({
      reason: 'TopologyAffinityError',
    });
  });

  it('refuses a pod whose CPUs cannot be had or aligned, whatever the policy', () => {
    expect(admission('none', manager()).admit(pod('a', '15'))).toEqual({
      reason: 'UnexpectedAdmissionError',
      message:
        'Pod was rejected: Allocate failed due to not enough cpus available to satisfy request: requested=15, available=14, which is unexpected',
    });
    expect(admission('none', manager({ fullCoresOnly: true })).admit(pod('a', '1'))).toMatchObject({
      reason: 'SMTAlignmentError',
    });
  });
});
