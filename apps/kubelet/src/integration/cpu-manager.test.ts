import fs from 'node:fs';
import path from 'node:path';
import { eventually } from '@naru/testing';
import type { Kubelet } from '../kubelet';
import { difference, formatCpuSet, parseCpuSet } from '../topology/cpu-set';
import { TestNode, forever, shell, whyNot } from './test-node';

const withRoot = whyNot() ? describe.skip : describe;
const flags = ['--cpu-manager-policy=static', '--reserved-cpus=0'];

withRoot('the kubelet with static CPUs', () => {
  let node: TestNode;
  let kubelet: Kubelet;
  const all = parseCpuSet(fs.readFileSync('/sys/devices/system/cpu/online', 'utf8'));

  beforeAll(async () => {
    node = await TestNode.create();
    kubelet = await node.startKubelet(flags);
  });
  afterAll(() => node?.close());

  /** Where the kernel lets a pod's process run. */
  const cpusOf = async (name: string): Promise<string> =>
    (await node.exec(name, 'sed', '-n', 's/^Cpus_allowed_list:\\s*//p', '/proc/1/status')).trim();
  const whole = { limits: { cpu: '1', memory: '32Mi' } };

  it('gives a Guaranteed container a CPU to itself, and moves all others away until it is gone', async () => {
    await node.create('shared', { containers: [shell(forever)] });
    await node.untilReady('shared');
    expect(await cpusOf('shared')).toBe(formatCpuSet(all));
    const { uid } = (await node.create('own', { containers: [shell(forever, { resources: whole })] })).metadata;
    await node.untilReady('own');
    const own = parseCpuSet(await cpusOf('own'));
    expect(own.size).toBe(1);
    expect(own.has(0)).toBe(false);
    await eventually(async () => expect(await cpusOf('shared')).toBe(formatCpuSet(difference(all, own))));
    const cgroup = `kubepods/pod${uid}`;
    const unlimited = ['-1', 'max 100000'];
    expect(unlimited).toContain(node.cgroupFile(cgroup, 'cpu', ['cpu.cfs_quota_us', 'cpu.max']));

    await node.stopKubelet(kubelet);
    kubelet = await node.startKubelet(flags);
    expect(JSON.parse(fs.readFileSync(path.join(node.rootDir, 'cpu_manager_state'), 'utf8'))).toMatchObject({
      policyName: 'static',
      defaultCpuSet: formatCpuSet(difference(all, own)),
      entries: { [uid]: { main: formatCpuSet(own) } },
    });
    await node.delete('own');
    await eventually(async () => expect(await cpusOf('shared')).toBe(formatCpuSet(all)));
  });

  it('fails a pod for which there are too few CPUs left', async () => {
    const wanted = { limits: { cpu: String(all.size), memory: '32Mi' } };
    await node.create('greedy', { containers: [shell(forever, { resources: wanted })] });
    await eventually(async () => expect((await node.get('greedy')).status).toMatchObject({ phase: 'Failed' }));
  });

  it('does not start with another policy than that by which CPUs were given, and says what to do', async () => {
    await node.stopKubelet(kubelet);
    await expect(node.startKubelet()).rejects.toThrow(
      'configured policy "none" differs from state checkpoint policy "static": please drain this node and delete the CPU manager checkpoint file',
    );
    await expect(node.startKubelet(['--cpu-manager-policy=static'])).rejects.toThrow(
      'the static policy requires systemreserved.cpu + kubereserved.cpu to be greater than zero',
    );
  });
});
