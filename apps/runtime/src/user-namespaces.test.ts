import fs from 'node:fs';
import path from 'node:path';
import { cri } from '@naru/proto';
import { eventually } from '@naru/testing';
import { RuntimeHarness, call, describeWithRoot } from './testing/runtime-harness';

const { CONTAINER, POD } = cri.NamespaceMode;
const size = 65_536;
const sleeper = { command: ['sh', '-c', 'trap "exit 0" TERM; echo ready; while :; do sleep 1 & wait; done'] };

/** Everything of a pod whose ids begin so on the node. */
function owned(first: number, more: Record<string, unknown> = {}) {
  const ids = [{ containerId: 0, hostId: first, length: size }];
  const namespaceOptions = { pid: CONTAINER, usernsOptions: { mode: POD, uids: ids, gids: ids }, ...more };
  return { ids, linux: { securityContext: { namespaceOptions } } };
}

describeWithRoot('pods with user namespaces', () => {
  const harness = new RuntimeHarness();
  beforeAll(() => harness.setUp());
  afterAll(() => harness.close());
  afterEach(() => harness.removeAll());

  const pidOf = async (containerId: string): Promise<number> => {
    const { info } = await call(harness.runtime, harness.runtime.containerStatus, { containerId, verbose: true });
    return (JSON.parse(info['info'] ?? '{}') as { pid: number }).pid;
  };
  /** Real, effective, saved and file system user of a process, as the node sees it. */
  const usersOf = (pid: number): string =>
    /^Uid:\s+(.*)$/m.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]?.replaceAll('\t', ' ') ?? '';

  test('every handler tells that its pods can have user namespaces', async () => {
    const { runtimeHandlers } = await call(harness.runtime, harness.runtime.status, { verbose: false });
    expect(runtimeHandlers.map(({ features }) => features?.userNamespaces)).toEqual(runtimeHandlers.map(() => true));
    expect(runtimeHandlers.length).toBeGreaterThan(1);
  });

  test.each(['crun', 'runc'])(
    'root in a pod is nobody on the node, and owns what is its own, with %s',
    async handler => {
      const { ids, linux } = owned(10 * size);
      const volume = fs.mkdtempSync(path.join(harness.directory, 'volume-'));
      fs.writeFileSync(path.join(volume, 'given'), 'given', { mode: 0o600 });
      fs.chownSync(path.join(volume, 'given'), 33, 33);
      const readOnly = fs.mkdtempSync(path.join(harness.directory, 'memory-'));
      harness.inside('mount', '-t', 'tmpfs', '-o', 'nosuid,nodev,noexec', 'memory', readOnly);
      const config = harness.sandboxConfig(`users-${handler}`, {
        linux: { ...linux, sysctls: { 'net.ipv4.ip_unprivileged_port_start': '81', 'kernel.shmmni': '1234' } },
      });
      const { podSandboxId } = await call(harness.runtime, harness.runtime.runPodSandbox, {
        config,
        runtimeHandler: handler,
      });
      const mapped = { uidMappings: ids, gidMappings: ids };
      const containerId = await harness.createContainer(podSandboxId, config, {
        ...sleeper,
        linux: { securityContext: { ...linux.securityContext, privileged: true } },
        devices: [{ hostPath: '/dev/full', containerPath: '/dev/given', permissions: 'rwm' }],
        mounts: [
          { hostPath: volume, containerPath: '/volume', ...mapped },
          { hostPath: readOnly, containerPath: '/memory', readonly: true, ...mapped },
          { hostPath: path.join(volume, 'given'), containerPath: '/file', ...mapped },
        ],
      });
      await call(harness.runtime, harness.runtime.startContainer, { containerId });
      const inside = async (script: string): Promise<string> => {
        const { stdout, stderr } = await harness.exec(containerId, 'sh', '-c', script);
        return `${stdout}${stderr}`.trimEnd();
      };
      expect(await inside('tr -s " " < /proc/self/uid_map; id -u')).toBe(` 0 ${10 * size} ${size}\n0`);
      expect(usersOf(await pidOf(containerId))).toBe(Array.from({ length: 4 }, () => 10 * size).join(' '));
      // The image, what it writes itself, its volumes and the files that every container has.
      expect(await inside('stat -c "%u:%g" / /bin/busybox /etc/passwd /etc/hosts /etc/resolv.conf /dev/shm')).toBe(
        Array.from({ length: 6 }, () => '0:0').join('\n'),
      );
      expect(
        await inside('touch /written /volume/written /dev/shm/written && stat -c %u /written /volume/written'),
      ).toBe('0\n0');
      expect(await inside('stat -c %u:%g:%a /volume/given /file; cat /file')).toBe('33:33:600\n33:33:600\ngiven');
      expect(await inside('touch /memory/written')).toContain('Read-only file system');
      expect(fs.statSync(path.join(volume, 'written')).uid).toBe(0);
      const upper = path.join(harness.directory, 'kept/root/containers', containerId, 'fs/upper/written');
      expect(fs.statSync(upper).uid).toBe(10 * size);
      // What is the node's stays so.
      expect(await inside('stat -c "%u %t:%T" /dev/given /dev/full; find /dev -type b -user 0')).toBe(
        '65534 1:7\n65534 1:7',
      );
      // The network is the pod's: with the capability it may change it, and no other.
      expect(await inside('hostname; cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/kernel/shmmni')).toBe(
        `users-${handler}\n81\n1234`,
      );
      expect(await inside('ip link add veth7 type veth peer name veth8 && ip link del veth7 && echo changed')).toBe(
        'changed',
      );
      expect(await inside('ip -4 -o addr show eth0')).toContain('198.18.');
      // Every capability, and none on the node.
      expect(await inside('echo 1 > /proc/sys/vm/drop_caches')).toMatch(/Permission denied|Read-only/);
      expect(await inside('mknod /disk b 8 0')).toContain('Operation not permitted');
      expect(await inside('hostname other && hostname')).toBe('other');
      harness.inside('umount', readOnly);
      await call(harness.runtime, harness.runtime.removePodSandbox, { podSandboxId });
      expect(harness.leftovers()).toEqual([]);
    },
  );

  test('pods with other ids share images and cannot reach each other, and the containers of one pod share everything', async () => {
    const [one, two] = await Promise.all(
      [20, 21].map(async index => {
        const { linux } = owned(index * size, { pid: POD });
        return { linux, ...(await harness.runPod(`pair-${index}`, { ...sleeper, linux }, { linux })) };
      }),
    );
    if (!one || !two) throw new Error('there are two');
    const second = await harness.createContainer(one.sandboxId, one.config, {
      ...sleeper,
      metadata: { name: 'second', attempt: 0 },
      logPath: 'second/0.log',
      linux: one.linux,
      stdin: true,
      tty: true,
    });
    await call(harness.runtime, harness.runtime.startContainer, { containerId: second });
    const users = await Promise.all(
      [one.containerId, second, two.containerId].map(async id => usersOf(await pidOf(id))),
    );
    expect(users.map(each => Number(each.split(' ')[0]))).toEqual([20 * size, 20 * size, 21 * size]);
    await eventually(async () =>
      expect((await harness.exec(one.containerId, 'ps')).stdout).toMatch(/^\s+1 65535\s+\/pause -P$/m),
    );
    await harness.exec(one.containerId, 'sh', '-c', 'echo shared > /dev/shm/file');
    expect((await harness.exec(second, 'cat', '/dev/shm/file')).stdout).toBe('shared\n');
    const namespace = async (id: string): Promise<string> => fs.readlinkSync(`/proc/${await pidOf(id)}/ns/user`);
    expect(await namespace(second)).toBe(await namespace(one.containerId));
    expect(await namespace(two.containerId)).not.toBe(await namespace(one.containerId));
  });

  test('a runtime that is killed takes up a pod with a user namespace, and nothing of it remains at the end', async () => {
    const { ids, linux } = owned(30 * size);
    const { sandboxId, containerId, config } = await harness.runPod('kept', { ...sleeper, linux }, { linux });
    await harness.logWith('kept', 'ready');
    await harness.stop('SIGKILL');
    await harness.start();
    expect((await harness.exec(containerId, 'cat', '/proc/self/uid_map')).stdout).toContain(String(30 * size));
    const volume = fs.mkdtempSync(path.join(harness.directory, 'late-'));
    const later = await harness.createContainer(sandboxId, config, {
      metadata: { name: 'later', attempt: 0 },
      logPath: 'later/0.log',
      command: ['touch', '/late/file'],
      linux,
      mounts: [{ hostPath: volume, containerPath: '/late', uidMappings: ids, gidMappings: ids }],
    });
    await call(harness.runtime, harness.runtime.startContainer, { containerId: later });
    expect(await harness.exited(later)).toMatchObject({ exitCode: 0 });
    expect(fs.statSync(path.join(volume, 'file')).uid).toBe(0);
    await harness.removeAll();
    expect(harness.leftovers()).toEqual([]);
  });

  test('what cannot be mapped is refused with its reason, and leaves nothing', async () => {
    const { linux, ids } = owned(40 * size);
    const refused = (options: Record<string, unknown>): Promise<unknown> =>
      harness.runSandbox(harness.sandboxConfig('refused', { linux: owned(40 * size, options).linux }));
    await expect(refused({ network: cri.NamespaceMode.NODE })).rejects.toThrow(
      "cannot be in the node's network namespace",
    );
    const noRoot = [{ containerId: 1, hostId: 5, length: 5 }];
    await expect(refused({ usernsOptions: { mode: POD, uids: noRoot, gids: noRoot } })).rejects.toThrow(
      'the mappings of users must hold root (0)',
    );
    const config = harness.sandboxConfig('volumes', { linux });
    const sandboxId = await harness.runSandbox(config);
    const create = (mount: Record<string, unknown>): Promise<string> =>
      harness.createContainer(sandboxId, config, { ...sleeper, linux, mounts: [{ containerPath: '/x', ...mount }] });
    // /proc has no ids that could be mapped.
    await expect(create({ hostPath: '/proc', uidMappings: ids, gidMappings: ids })).rejects.toThrow(
      'failed to map the ids of /proc: its file system cannot have ids mapped on this kernel',
    );
    const others = [{ containerId: 0, hostId: 7 * size, length: size }];
    await expect(create({ hostPath: harness.directory, uidMappings: others, gidMappings: others })).rejects.toThrow(
      "can only be mapped as those of the pod's user namespace",
    );
    await harness.removeAll();
    await eventually(() => expect(harness.leftovers()).toEqual([]));
  });
});

describeWithRoot('a node in a container', () => {
  const harness = new RuntimeHarness();
  afterAll(() => harness.close());

  test('sees only parts of /proc and /sys, and can have pods with user namespaces all the same', async () => {
    await harness.setUp();
    for (const place of ['/proc/irq', '/sys/firmware']) harness.inside('mount', '-t', 'tmpfs', 'hidden', place);
    harness.inside('mount', '--bind', '/proc/sys', '/proc/sys');
    const { linux } = owned(50 * size);
    const { containerId } = await harness.runPod('masked', { ...sleeper, linux }, { linux });
    expect((await harness.exec(containerId, 'sh', '-c', 'id -u; cat /proc/1/comm')).stdout).toBe('0\nsh\n');
    expect((await harness.exec(containerId, 'ls', '/sys/class/net')).stdout).toContain('eth0');
    await harness.removeAll();
    // /proc and /sys may have been mounted once more, whole, for root of the node alone.
    expect(harness.leftovers().filter(mount => !mount.includes('/run/state/uncovered/'))).toEqual([]);
  });
});
