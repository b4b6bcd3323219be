import fs from 'node:fs';
import { coreEvents, nodes, type Node } from '@naru/api';
import { eventually } from '@naru/testing';
import type { Kubelet } from '../kubelet';
import { readMachine } from '../node/machine';
import type { Summary } from '../stats/summary-types';
import { TestNode, forever, nodeName, patient, shell, whyNot } from './test-node';

const withRoot = whyNot() ? describe.skip : describe;
const mi = 2 ** 20;

withRoot("the kubelet and its node's resources", () => {
  let node: TestNode;
  let kubelet: Kubelet;

  beforeAll(async () => {
    node = await TestNode.create();
    node.limitDisk(64 * mi);
    // Of the machine's memory pods may have 256 MiB, of the disk half.
    const { memoryBytes } = await readMachine('/');
    fs.writeFileSync(
      node.file('config.yaml'),
      `
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
maxPods: 30
evictionPressureTransitionPeriod: 1s
systemReserved: { memory: "${memoryBytes - 256 * mi}", cpu: 100m }
evictionHard: { memory.available: 1Mi }
volumeStatsAggPeriod: 1s
`,
    );
    const flags = [
      `--config=${node.file('config.yaml')}`,
      '--eviction-hard=nodefs.available<50%,memory.available<100Mi',
    ];
    kubelet = await node.startKubelet(flags);
  });

  afterAll(() => node?.close());

  const condition = (of: Node, name: string): string | undefined =>
    of.status?.conditions?.find(({ type }) => type === name)?.status;
  const text = async (path: string): Promise<string> => {
    const answer = await node.fetch(kubelet, path);
    expect(answer.code).toBe(200);
    return answer.text;
  };
  const summary = async (): Promise<Summary> => JSON.parse(await text('/stats/summary')) as Summary;

  it('shows the configuration that is in effect', async () => {
    const { kubeletconfig } = JSON.parse(await text('/configz')) as { kubeletconfig: Record<string, unknown> };
    expect(kubeletconfig).toMatchObject({
      maxPods: 30,
      evictionPressureTransitionPeriod: '1s',
      evictionHard: { 'nodefs.available': '50%', 'memory.available': '100Mi' },
    });
  });

  it('keeps reservations and thresholds from what pods may have, and holds all pods to it', async () => {
    const found = await eventually(() => node.api.get(nodes, { name: nodeName }));
    expect(found.status?.allocatable).toMatchObject({ memory: '156Mi', pods: '30' });
    expect(Number(found.status?.allocatable?.['ephemeral-storage'])).toBe(32 * mi);
    expect(node.cgroupFile('kubepods', 'memory', ['memory.limit_in_bytes', 'memory.max'])).toBe(String(256 * mi));
  });

  it('tells what the node, a pod, its containers and volumes use', async () => {
    const volumes = [{ name: 'v', emptyDir: {} }];
    const script = `head -c 2097152 /dev/zero > /v/file; head -c 1048576 /dev/zero > /root-file; echo log; ${forever}`;
    const containers = [
      shell(script, {
        volumeMounts: [{ name: 'v', mountPath: '/v' }],
        readinessProbe: { exec: { command: ['test', '-e', '/root-file'] }, ...patient },
      }),
    ];
    await node.create('measured', { volumes, containers });
    await node.untilReady('measured');
    await eventually(async () => {
      const { node: own, pods } = await summary();
      const pod = pods.find(({ podRef }) => podRef.name === 'measured');
      expect(pod?.volume?.find(({ name }) => name === 'v')?.usedBytes).toBe(2 * mi);
      expect(pod?.containers[0]?.rootfs?.usedBytes).toBeGreaterThanOrEqual(mi);
      expect(pod?.containers[0]?.logs?.usedBytes).toBeGreaterThan(0);
      expect(pod?.['ephemeral-storage']?.usedBytes).toBeGreaterThanOrEqual(3 * mi);
      expect(pod?.containers[0]?.cpu?.usageCoreNanoSeconds).toBeGreaterThan(0);
      expect(pod?.memory?.workingSetBytes).toBeGreaterThan(0);
      expect(pod?.process_stats?.process_count).toBeGreaterThan(0);
      expect(pod?.network?.name).toBe('eth0');
      expect(own.fs.capacityBytes).toBe(64 * mi);
      expect(own.runtime.imageFs?.capacityBytes).toBeGreaterThan(64 * mi);
      expect(own.rlimit.curproc).toBeGreaterThan(0);
      expect(own.systemContainers.map(({ name }) => name)).toEqual(['kubelet', 'pods']);
    });
    const { pods } = JSON.parse(await text('/stats/summary?only_cpu_and_memory=true')) as Summary;
    expect(Object.keys(pods[0] ?? {})).toEqual(['podRef', 'startTime', 'containers', 'cpu', 'memory']);
  });

  it("serves metrics under upstream's names", async () => {
    const main = await text('/metrics');
    for (const line of [
      /^kubelet_started_pods_total [1-9]/m,
      /^kubelet_started_containers_total\{container_type="container"\} [1-9]/m,
      /^kubelet_pod_start_duration_seconds_count [1-9]/m,
      /^kubelet_runtime_operations_total\{operation_type="run_podsandbox"\} [1-9]/m,
      /^kubelet_runtime_operations_total\{operation_type="create_container"\} [1-9]/m,
      /^storage_operation_duration_seconds_count\{.*volume_plugin="kubernetes.io\/empty-dir",operation_name="volume_mount",status="success".*\} [1-9]/m,
      /^kubelet_node_name\{node="test-node"\} 1$/m,
      /^kubelet_running_pods 1$/m,
    ]) {
      expect(main).toMatch(line);
    }
    const resource = await text('/metrics/resource');
    const labels = 'container="main",namespace="default",pod="measured"';
    for (const name of ['container_cpu_usage_seconds_total', 'container_memory_working_set_bytes']) {
      expect(resource).toMatch(new RegExp(`^${name}\\{${labels}\\} [0-9.e+-]+ \\d{13}$`, 'm'));
    }
    expect(resource).toMatch(/^node_memory_working_set_bytes \d+ \d{13}$/m);
    expect(resource).toMatch(/^pod_cpu_usage_seconds_total\{namespace="default",pod="measured"\} /m);
    expect(resource).toMatch(/^resource_scrape_error 0$/m);
    const cadvisor = await text('/metrics/cadvisor');
    expect(cadvisor).toMatch(
      /^container_cpu_usage_seconds_total\{container="main",.*pod="measured",cpu="total"\} [0-9.e-]+$/m,
    );
    expect(cadvisor).toMatch(/^container_memory_working_set_bytes\{container="main",.*pod="measured"\} [1-9]/m);
    expect(cadvisor).toMatch(/^container_network_receive_bytes_total\{.*interface="eth0".*pod="measured"\} \d+$/m);
    expect(cadvisor).toMatch(/^machine_cpu_cores [1-9]/m);
    const probes = await text('/metrics/probes');
    expect(probes).toMatch(
      /^prober_probe_total\{probe_type="Readiness",container="main",pod="measured",namespace="default",.*result="successful".*\} [1-9]/m,
    );
    await node.delete('measured');
    expect(await text('/metrics/probes')).not.toContain('pod="measured"');
  });

  it('evicts a pod whose emptyDir outgrows its limit', async () => {
    await node.create('greedy', {
      volumes: [{ name: 'v', emptyDir: { sizeLimit: '1Mi' } }],
      containers: [
        shell(`head -c 4194304 /dev/zero > /v/file; ${forever}`, { volumeMounts: [{ name: 'v', mountPath: '/v' }] }),
      ],
    });
    const pod = await eventually(async () => {
      const found = await node.get('greedy');
      expect(found.status?.phase).toBe('Failed');
      return found;
    });
    expect(pod.status).toMatchObject({
      reason: 'Evicted',
      message: 'Usage of EmptyDir volume "v" exceeds the limit "1Mi". ',
    });
    await node.untilTold('greedy', 'Evicted');
    await node.delete('greedy');
  });

  it('evicts a pod when a container, or all of them together, write more than they may have of the disk', async () => {
    // Images have a disk of their own here, so of a container only its log counts.
    const writer = (name: string, size: number, limit: string) =>
      shell(`head -c ${size * mi} /dev/zero | tr '\\0' x; ${forever}`, {
        name,
        resources: { limits: { 'ephemeral-storage': limit } },
      });
    await node.create('one-writes', { containers: [writer('a', 3, '1Mi'), writer('b', 0, '7Mi')] });
    // Neither is over its own limit: what they share counts for the pod.
    await node.create('both-write', {
      volumes: [{ name: 'v', emptyDir: {} }],
      containers: ['a', 'b'].map(name =>
        shell(`head -c ${3 * mi} /dev/zero > /v/${name}; ${forever}`, {
          name,
          resources: { limits: { 'ephemeral-storage': '2Mi' } },
          volumeMounts: [{ name: 'v', mountPath: '/v' }],
        }),
      ),
    });
    const messages = {
      'one-writes': 'Container a exceeded its local ephemeral storage limit "1Mi". ',
      'both-write': 'Pod ephemeral local storage usage exceeds the total limit of containers 4Mi. ',
    };
    for (const [name, message] of Object.entries(messages)) {
      await eventually(async () =>
        expect((await node.get(name)).status).toMatchObject({ phase: 'Failed', reason: 'Evicted', message }),
      );
      await node.delete(name);
    }
  });

  it('is under disk pressure on a full disk, evicts the pod that filled it and takes no other until there is room', async () => {
    await node.create('bystander', { containers: [shell(forever)] });
    await node.untilReady('bystander');
    await node.create('hoarder', {
      volumes: [{ name: 'v', emptyDir: {} }],
      containers: [
        shell(`head -c ${40 * mi} /dev/zero > /v/file; ${forever}`, { volumeMounts: [{ name: 'v', mountPath: '/v' }] }),
      ],
    });
    const pod = await eventually(async () => {
      const found = await node.get('hoarder');
      expect(found.status?.phase).toBe('Failed');
      return found;
    });
    expect(pod.status?.reason).toBe('Evicted');
    expect(pod.status?.message).toMatch(
      /^The node was low on resource: ephemeral-storage. Threshold quantity: 32Mi, available: /,
    );
    expect(pod.status?.conditions?.find(({ type }) => type === 'DisruptionTarget')).toMatchObject({
      status: 'True',
      reason: 'TerminationByKubelet',
    });
    await eventually(async () => {
      const { items } = await node.api.list(coreEvents, { namespace: 'default' });
      const reasons = items.map(({ reason }) => reason);
      expect(reasons).toEqual(expect.arrayContaining(['NodeHasDiskPressure', 'EvictionThresholdMet']));
    });
    // The volume went with the pod, so the disk has room again.
    await eventually(async () =>
      expect(condition(await node.api.get(nodes, { name: nodeName }), 'DiskPressure')).toBe('False'),
    );
    expect((await node.get('bystander')).status?.phase).toBe('Running');
    const filler = `${node.rootDir}/filler`;
    fs.writeFileSync(filler, Buffer.alloc(40 * mi));
    await eventually(() => expect(kubelet.pressures).toContain('DiskPressure'));
    await node.create('late', { containers: [shell(forever)] });
    await eventually(async () =>
      expect((await node.get('late')).status).toMatchObject({
        phase: 'Failed',
        reason: 'Evicted',
        message: 'Pod was rejected: The node had condition: [DiskPressure]. ',
      }),
    );
    fs.rmSync(filler);
    await eventually(() => expect(kubelet.pressures).toEqual([]));
    for (const name of ['hoarder', 'late', 'bystander']) await node.delete(name);
  });

  it('evicts the pod that takes most of the memory that pods may have', async () => {
    await node.create('modest', { containers: [shell(forever)] });
    await node.untilReady('modest');
    await node.create('hungry', {
      volumes: [{ name: 'v', emptyDir: { medium: 'Memory' } }],
      containers: [
        shell(`head -c ${180 * mi} /dev/zero > /v/file; ${forever}`, {
          volumeMounts: [{ name: 'v', mountPath: '/v' }],
        }),
      ],
    });
    const pod = await eventually(async () => {
      const found = await node.get('hungry');
      expect(found.status?.phase).toBe('Failed');
      return found;
    });
    expect(pod.status?.message).toMatch(
      /^The node was low on resource: memory. Threshold quantity: 100Mi, available: .* Container main was using .* has larger consumption of memory. $/,
    );
    expect((await node.get('modest')).status?.phase).toBe('Running');
    for (const name of ['hungry', 'modest']) await node.delete(name);
  });
});
