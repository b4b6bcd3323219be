import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import https from 'node:https';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { credentials } from '@grpc/grpc-js';
import { coreEvents, nodes, runtimeClasses, type Container } from '@naru/api';
import { cri } from '@naru/proto';
import { MemoryObjects, checkInScenario, runScenario } from '@naru/testing';
import { CriClient } from '../cri/cri-client';
import { ScenarioPods, at, endpoint, soon, startKubelet, startRuntime } from './scenario-node';

/** What the kubelet and our runtime do on a machine with two NUMA nodes, huge pages and version 2 cgroups alone; runs there as a program. */
const mi = 2 ** 20;
const secret = 'kept-in-memory-only';
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

const bridge = {
  ...{ type: 'bridge', bridge: 'cni0', isGateway: true },
  ipam: { type: 'host-local', dataDir: at('ipam'), ranges: [[{ subnet: '10.88.0.0/24' }]] },
};

async function main(): Promise<void> {
  const [program = ''] = process.argv.slice(2);
  fs.mkdirSync(at('cni'), { recursive: true });
  fs.writeFileSync(
    at('cni/10-test.conflist'),
    JSON.stringify({ cniVersion: '1.0.0', name: 'test', plugins: [bridge] }),
  );
  fs.writeFileSync(at('kubelet.yaml'), configuration);
  const api = new MemoryObjects();
  await api.create(runtimeClasses, { metadata: { name: 'runc' }, handler: 'runc' });
  await startRuntime(program);
  const { kubelet, caller } = await startKubelet(api, [`--config=${at('kubelet.yaml')}`]);
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
  const inMapped = { volumeMounts: [{ name: 'disk', mountPath: '/disk' }] };
  await Promise.all([
    node.create('mapped', {
      hostUsers: false,
      containers: [shell(forever, inMapped)],
      volumes: [{ name: 'disk', emptyDir: {} }],
    }),
    node.create('near', {
      hostNetwork: true,
      containers: [
        shell(forever, { resources: { limits: large }, volumeMounts: [{ name: 'huge', mountPath: '/huge' }] }),
      ],
      volumes: [{ name: 'huge', emptyDir: { medium: 'HugePages' } }],
    }),
    node.create('kept', {
      hostNetwork: true,
      runtimeClassName: 'runc',
      containers: [shell(`word=${secret}; echo written > /tmp/file; rm /etc/passwd; echo ready; ${forever}`)],
    }),
  ]);
  const refusal = soon(async () => {
    const { items } = await api.list(coreEvents, { namespace: 'default' });
    // On a machine as slow as this one the first try may end by its deadline.
    const said = items.filter(({ involvedObject }) => involvedObject.name === 'mapped').map(each => each.message ?? '');
    assert.match(said.join('\n'), /^Failed to create pod sandbox: .* does not support user namespaces$/m);
    fs.writeFileSync('/proc/sys/user/max_user_namespaces', '1000');
  });
  refusal.catch(() => undefined);
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
    await soon(async () => {
      const { status } = await node.get('broad');
      assert.equal(status?.phase, 'Failed');
      assert.match(status.message ?? '', /\[memorymanager\] failed to get the default NUMA affinity/);
    });
  });
  await checkInScenario('the Node tells of huge pages in the unit of their size', () =>
    soon(async () => {
      const { status } = await api.get(nodes, { name: 'node' });
      assert.equal(status?.capacity?.['hugepages-2Mi'], '16Mi');
      assert.equal(status.allocatable?.['hugepages-2Mi'], '16Mi');
    }),
  );

  await checkInScenario('a pod waits while the kernel allows no user namespaces, and starts when it does', async () => {
    await refusal;
    await node.running('mapped');
  });
  const mapped = await node.running('mapped');
  const { pid, cgroup } = JSON.parse(await containerInfo(mapped)) as { pid: number; cgroup: string };
  const uid = Number(/^Uid:\s+(\d+)/m.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
  await checkInScenario(
    'a pod with a user namespace is nobody on a node with version 2 cgroups, and owns what it mounts',
    async () => {
      const [first = ''] = /\d{5,}/.exec(await run(mapped, 'cat /proc/self/uid_map')) ?? [];
      assert.equal(uid, Number(first));
      const owners = await run(
        mapped,
        'echo x > /disk/file; stat -c "%u %n" / /bin/busybox /disk /disk/file /etc/hosts',
      );
      assert.equal(owners, '0 /\n0 /bin/busybox\n0 /disk\n0 /disk/file\n0 /etc/hosts');
      const { metadata } = await node.get('mapped');
      const file = at(`kubelet/pods/${metadata.uid}/volumes/kubernetes.io~empty-dir/disk/file`);
      assert.equal(fs.statSync(file).uid, 0);
    },
  );
  await checkInScenario('a pod with a user namespace cannot change the limits of its cgroup', async () => {
    assert.match(await run(mapped, 'mkdir /sys/fs/cgroup/own'), /Read-only file system/);
    assert.equal(await run(mapped, 'cat /proc/self/cgroup'), '0::/');
    // The mount is not all that is in the way: crun gives the cgroup to root of the pod, and its limits to nobody.
    const limits = ['memory.max', 'cpu.max', 'pids.max'].map(name => path.join('/sys/fs/cgroup', cgroup, name));
    for (const limit of limits) {
      assert.equal(fs.statSync(limit).uid, 0);
      const raise = ['--reuid', String(uid), '--clear-groups', 'sh', '-c', 'echo max > "$1"', 'sh', limit];
      assert.throws(() => execFileSync('setpriv', raise, { stdio: 'pipe' }), /Permission denied/);
    }
  });

  const post = (place: string): Promise<{ code: number; body: string }> =>
    new Promise((resolve, reject) => {
      const options = { ...caller, host: '127.0.0.1', port: kubelet.server.port, path: place, method: 'POST' };
      const request = https.request(options, response => {
        text(response).then(body => resolve({ code: response.statusCode ?? 0, body }), reject);
      });
      request.on('error', reject).end();
    });
  await checkInScenario('the state of a container is written to an archive, and the container runs on', async () => {
    const kept = await node.running('kept');
    await soon(async () => assert.equal(await run(kept, 'cat /tmp/file'), 'written'));
    const before = await containerInfo(kept);
    const { code, body } = await post('/checkpoint/default/kept/main');
    assert.equal(code, 200, body);
    const [archive = ''] = (JSON.parse(body) as { items: string[] }).items;
    assert.match(archive, /\/checkpoints\/checkpoint-kept_default-main-\d{4}-\d\d-\d\dT[\d:]+Z\.tar$/);
    fs.mkdirSync(at('unpacked'));
    execFileSync('tar', ['-xf', archive, '-C', at('unpacked')]);
    const unpacked = (name: string): string => fs.readFileSync(at(`unpacked/${name}`), 'latin1');
    for (const name of ['spec.dump', 'checkpoint/inventory.img', 'dump.log', 'container.log'])
      assert.ok(unpacked(name).length > 0);
    assert.match(
      unpacked('config.dump'),
      new RegExp(`"id":"${kept}".*"rootfsImageName":"busybox:test".*"runtime":"runc"`),
    );
    assert.deepEqual(JSON.parse(unpacked('deleted.files')), ['/etc/passwd']);
    assert.match(unpacked('rootfs-diff.tar'), /\.\/tmp\/file/);
    const pages = fs.readdirSync(at('unpacked/checkpoint')).filter(name => name.startsWith('pages-'));
    assert.ok(pages.some(name => unpacked(`checkpoint/${name}`).includes(secret)));
    assert.equal(await containerInfo(kept), before);
    assert.equal(await run(kept, 'cat /tmp/file'), 'written');
    assert.deepEqual(fs.readdirSync(path.dirname(archive)), [path.basename(archive)]);
  });
  await checkInScenario('no checkpoint is made where there cannot be one, and the answer says why', async () => {
    assert.deepEqual(await post('/checkpoint/default/near/main'), {
      code: 500,
      body: 'checkpointing of default/near/main failed (rpc error: code = Unimplemented desc = method CheckpointContainer not implemented)',
    });
    assert.deepEqual(await post('/checkpoint/default/near/other'), {
      code: 404,
      body: 'container other does not exist',
    });
    assert.deepEqual(await post('/checkpoint/default/other/main'), { code: 404, body: 'pod does not exist' });
  });
}

/** Its first process and its cgroup, in JSON. */
async function containerInfo(containerId: string): Promise<string> {
  const client = new cri.RuntimeServiceClient(endpoint.replace('://', ':'), credentials.createInsecure());
  try {
    const { info } = await promisify<cri.ContainerStatusRequest, cri.ContainerStatusResponse>(
      client.containerStatus.bind(client),
    )({ containerId, verbose: true });
    return info['info'] ?? '{}';
  } finally {
    client.close();
  }
}

runScenario(main);
