import assert from 'node:assert/strict';
import fs from 'node:fs';
import { nodes, type Container } from '@naru/api';
import { MemoryObjects, checkInScenario, eventually, runScenario } from '@naru/testing';
import { CriClient } from '../cri/cri-client';
import { ScenarioPods, at, endpoint, startKubelet, startRuntime } from './scenario-node';

/** What the kubelet and our runtime do on a machine with two NUMA nodes, huge pages and version 2 cgroups alone; runs there as a program. */
const mi = 2 ** 20;
const patienceMs = 120_000;
const forever = 'sleep 100000 & wait';

const configuration = `apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
cpuManagerPolicy: static
memoryManagerPolicy: Static
topologyManagerPolicy: single-numa-node
systemReserved: {cpu: "1", memory: 60Mi}
kubeReserved: {memory: 30Mi}
evictionHard: {memory.available: 10Mi}
reservedMemory: [{numaNode: 0, limits: {memory: 70Mi}}, {numaNode: 1, limits: {memory: 30Mi}}]
`;

async function main(): Promise<void> {
  const [program = ''] = process.argv.slice(2);
  fs.mkdirSync(at(''), { recursive: true });
  fs.writeFileSync(at('kubelet.yaml'), configuration);
  const api = new MemoryObjects();
  await startRuntime(program);
  await startKubelet(api, [`--config=${at('kubelet.yaml')}`]);
  const runtime = new CriClient(endpoint);
  const node = new ScenarioPods(api);
  const shell = (script: string, more: Partial<Container> = {}): Container => ({
    ...{ name: 'main', image: 'busybox:test', imagePullPolicy: 'IfNotPresent' },
    ...{ command: ['/bin/sh', '-c', script], ...more },
  });
  const run = async (id: string, script: string): Promise<string> =>
    (await runtime.execSync(id, ['sh', '-c', script], 60)).output.trim();
  const state = (): { machineState: Record<number, { memoryMap: Record<string, { reserved: number }> }> } =>
    JSON.parse(fs.readFileSync(at('kubelet/memory_manager_state'), 'utf8')) as ReturnType<typeof state>;

  // The system has the CPU of node 0: who is to have one alone gets the other, and with it memory of node 1.
  const large = { cpu: '1', memory: '64Mi', 'hugepages-2Mi': '4Mi' };
  await node.create('near', {
    hostNetwork: true,
    containers: [
      shell(forever, { resources: { limits: large }, volumeMounts: [{ name: 'huge', mountPath: '/huge' }] }),
    ],
    volumes: [{ name: 'huge', emptyDir: { medium: 'HugePages' } }],
  });
  const near = await node.running('near');

  await checkInScenario('a Guaranteed container gets CPUs, memory and huge pages of one NUMA node', async () => {
    const own = await run(near, 'sed -n "s/^\\(Cpus\\|Mems\\)_allowed_list:\\s*/\\1 /p" /proc/1/status');
    assert.equal(own, 'Cpus 1\nMems 1');
    assert.equal(await run(near, 'cat /sys/fs/cgroup/cpuset.mems'), '1');
    const { memoryMap } = state().machineState[1] ?? { memoryMap: {} };
    assert.equal(memoryMap['memory']?.reserved, 64 * mi);
    assert.equal(memoryMap['hugepages-2Mi']?.reserved, 4 * mi);
    const free = (id: number): string =>
      fs.readFileSync(`/sys/devices/system/node/node${id}/hugepages/hugepages-2048kB/free_hugepages`, 'utf8').trim();
    assert.deepEqual([free(0), free(1)], ['4', '4']);
    assert.equal(await run(near, 'fallocate -l 4M /huge/file && echo done'), 'done');
    assert.deepEqual([free(0), free(1)], ['4', '2']);
  });
  await checkInScenario('a container cannot have more huge pages than its limit, though there are more', async () => {
    assert.equal(await run(near, 'cat /sys/fs/cgroup/hugetlb.2MB.max'), String(4 * mi));
    const { metadata } = await node.get('near');
    const pod = `/sys/fs/cgroup/naru/kubepods/pod${metadata.uid}/hugetlb.2MB.max`;
    assert.equal(fs.readFileSync(pod, 'utf8').trim(), String(4 * mi));
    assert.match(await run(near, 'fallocate -l 2M /huge/more'), /No space left/);
    assert.match(await run(near, 'cat /sys/fs/cgroup/hugetlb.2MB.events'), /^max [1-9]/);
    assert.equal(await run(near, 'rm /huge/file && fallocate -l 2M /huge/more && echo done'), 'done');
  });
  await checkInScenario('a pod that no NUMA node has room for is refused', async () => {
    const limits = { cpu: '100m', memory: '1Gi' };
    await node.create('broad', { hostNetwork: true, containers: [shell(forever, { resources: { limits } })] });
    await eventually(async () => {
      const { status } = await node.get('broad');
      assert.equal(status?.phase, 'Failed');
      assert.match(status.message ?? '', /\[memorymanager\] failed to get the default NUMA affinity/);
    }, patienceMs);
  });
  await checkInScenario('the Node tells of huge pages in the unit of their size', () =>
    eventually(async () => {
      const { status } = await api.get(nodes, { name: 'node' });
      assert.equal(status?.capacity?.['hugepages-2Mi'], '16Mi');
      assert.equal(status.allocatable?.['hugepages-2Mi'], '16Mi');
    }, patienceMs),
  );
}

runScenario(main);
