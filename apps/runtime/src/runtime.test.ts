import fs from 'node:fs';
import path from 'node:path';
import { cri } from '@naru/proto';
import { eventually } from '@naru/testing';
import { RuntimeHarness, call, describeWithRoot } from './testing/runtime-harness';

const sleeper = { command: ['sh', '-c', 'trap "exit 3" TERM; echo ready; while :; do sleep 0.1; done'] };

describeWithRoot('the runtime', () => {
  const harness = new RuntimeHarness();

  beforeAll(async () => {
    await harness.loadImage();
    await harness.start();
  });
  afterAll(() => harness.close());
  afterEach(() => harness.removeAll());

  test('status says why the network is not ready until a configuration appears', async () => {
    const condition = async (): Promise<cri.RuntimeCondition | undefined> =>
      (await call(harness.runtime, harness.runtime.status, { verbose: false })).status?.conditions.find(
        entry => entry.type === 'NetworkReady',
      );
    expect(await condition()).toMatchObject({
      status: false,
      reason: 'NetworkPluginNotReady',
      message: expect.stringContaining('no network config found'),
    });
    await expect(harness.runSandbox(harness.sandboxConfig('early'))).rejects.toMatchObject({ code: 14 });
    await harness.writeNetwork();
    expect(await condition()).toMatchObject({ status: true });
  });

  test('a pod runs, logs in the CRI format, answers commands, stops with its signal and leaves nothing behind', async () => {
    const { sandboxId, containerId } = await harness.runPod('life', {
      command: ['sh', '-c', 'trap "exit 3" TERM; echo out; echo err >&2; printf part; while :; do sleep 0.1; done'],
      envs: [{ key: 'GREETING', value: 'hello' }],
    });
    const { status } = await call(harness.runtime, harness.runtime.podSandboxStatus, {
      podSandboxId: sandboxId,
      verbose: false,
    });
    expect(status?.state).toBe(cri.PodSandboxState.SANDBOX_READY);
    expect(status?.network?.ip).toMatch(/^198\.18\./);
    const log = await harness.logWith('life', 'part');
    expect(log).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}[+-]\d\d:\d\d stdout F out$/m);
    expect(log).toMatch(/ stderr F err$/m);
    expect(log).toMatch(/ stdout P part$/m);
    expect(
      await harness.exec(
        containerId,
        'sh',
        '-c',
        'hostname; echo $GREETING; cat /etc/resolv.conf; echo no >&2; exit 5',
      ),
    ).toEqual({
      stdout: 'life\nhello\nsearch default.svc.cluster.local\nnameserver 10.96.0.10\noptions ndots:5\n',
      stderr: 'no\n',
      exitCode: 5,
    });
    expect((await harness.exec(containerId, 'ip', '-4', 'addr', 'show', 'eth0')).stdout).toContain(status?.network?.ip);
    await call(harness.runtime, harness.runtime.stopContainer, { containerId, timeout: 120n });
    const ended = await harness.containerStatus(containerId);
    expect(ended).toMatchObject({ state: cri.ContainerState.CONTAINER_EXITED, exitCode: 3, reason: 'Error' });
    expect(ended.finishedAt).toBeGreaterThan(ended.startedAt);
    await call(harness.runtime, harness.runtime.stopPodSandbox, { podSandboxId: sandboxId });
    await call(harness.runtime, harness.runtime.stopPodSandbox, { podSandboxId: sandboxId });
    await call(harness.runtime, harness.runtime.removePodSandbox, { podSandboxId: sandboxId });
    await call(harness.runtime, harness.runtime.removePodSandbox, { podSandboxId: sandboxId });
    expect(harness.leftovers()).toEqual([]);
  });

  test('a command that does not end in time is killed with its process', async () => {
    const { containerId } = await harness.runPod('slow', sleeper);
    const late = call(harness.runtime, harness.runtime.execSync, { containerId, cmd: ['sleep', '4711'], timeout: 1n });
    await expect(late).rejects.toMatchObject({ code: 4 });
    expect((await harness.exec(containerId, 'ps')).stdout).not.toContain('4711');
  });

  test('a container that ignores its stop signal is killed after the grace period', async () => {
    const { containerId } = await harness.runPod('stubborn', {
      command: ['sh', '-c', 'trap "" TERM; echo ready; while :; do sleep 0.1; done'],
    });
    await harness.logWith('stubborn', 'ready');
    const started = Date.now();
    await call(harness.runtime, harness.runtime.stopContainer, { containerId, timeout: 1n });
    expect(Date.now() - started).toBeGreaterThanOrEqual(990);
    expect(await harness.containerStatus(containerId)).toMatchObject({ exitCode: 137 });
  });

  test('a container beyond its memory limit is reported as OOMKilled', async () => {
    const { containerId } = await harness.runPod('hungry', {
      command: ['sh', '-c', 'head -c 200m /dev/zero | tail -c 190m; exit 1'],
      linux: {
        resources: { memoryLimitInBytes: 16n << 20n },
        securityContext: { namespaceOptions: { pid: cri.NamespaceMode.CONTAINER } },
      },
    });
    expect(await harness.exited(containerId)).toMatchObject({ reason: 'OOMKilled' });
  });

  test('events tell of every step as it happens', async () => {
    const events: string[] = [];
    const stream = harness.runtime.getContainerEvents({});
    stream.on('error', () => undefined);
    stream.on('data', (event: cri.ContainerEventResponse) =>
      events.push(`${cri.containerEventTypeToJSON(event.containerEventType)} ${event.containersStatuses.length}`),
    );
    await call(harness.runtime, harness.runtime.version, { version: 'v1' });
    const { containerId, sandboxId } = await harness.runPod('events', { command: ['true'] });
    await harness.exited(containerId);
    await call(harness.runtime, harness.runtime.removePodSandbox, { podSandboxId: sandboxId });
    const wanted = [
      'CONTAINER_STARTED_EVENT 0',
      'CONTAINER_CREATED_EVENT 1',
      'CONTAINER_STARTED_EVENT 1',
      'CONTAINER_STOPPED_EVENT 1',
      'CONTAINER_STOPPED_EVENT 1',
      'CONTAINER_DELETED_EVENT 0',
      'CONTAINER_DELETED_EVENT 0',
    ];
    await eventually(() => expect(events).toHaveLength(wanted.length));
    expect(events.toSorted()).toEqual(wanted.toSorted());
    stream.cancel();
  });

  test('users, groups, capabilities and privileges are what was asked for', async () => {
    const { containerId } = await harness.runPod('secure', {
      ...sleeper,
      linux: {
        securityContext: {
          namespaceOptions: { pid: cri.NamespaceMode.CONTAINER },
          runAsUsername: 'web',
          supplementalGroups: [2000n],
          noNewPrivs: true,
          readonlyRootfs: true,
          capabilities: { dropCapabilities: ['ALL'], addCapabilities: ['NET_BIND_SERVICE'] },
          seccomp: { profileType: cri.SecurityProfile_ProfileType.RuntimeDefault },
          maskedPaths: ['/proc/kcore', '/proc/keys'],
          readonlyPaths: ['/proc/sys'],
        },
      },
    });
    expect((await harness.exec(containerId, 'id')).stdout).toBe(
      'uid=1001(web) gid=1002(web) groups=1002(web),1003(extra),2000\n',
    );
    const status = (await harness.exec(containerId, 'cat', '/proc/self/status')).stdout;
    expect(status).toMatch(/CapBnd:\s+0000000000000400/);
    expect(status).toMatch(/NoNewPrivs:\s+1/);
    expect(status).toMatch(/Seccomp:\s+2/);
    expect((await harness.exec(containerId, 'touch', '/file')).stderr).toContain('Read-only file system');
    expect((await harness.exec(containerId, 'sh', '-c', 'cat /proc/keys | wc -c')).stdout).toBe('0\n');
    expect((await harness.exec(containerId, 'unshare', '-m', 'true')).exitCode).not.toBe(0);
    expect((await harness.containerStatus(containerId)).user?.linux).toEqual({
      uid: 1001n,
      gid: 1002n,
      supplementalGroups: [1002n, 1003n, 2000n],
    });
  });

  test('volumes are mounted as asked, and a missing one is an error that leaves nothing', async () => {
    const volume = path.join(harness.directory, 'volume');
    fs.mkdirSync(volume, { recursive: true });
    fs.writeFileSync(path.join(volume, 'file'), 'content');
    const { containerId } = await harness.runPod('volumes', {
      ...sleeper,
      mounts: [
        { hostPath: volume, containerPath: '/data/inner' },
        { hostPath: volume, containerPath: '/ro', readonly: true },
        { hostPath: path.join(volume, 'file'), containerPath: '/etc/hosts' },
      ],
    });
    expect((await harness.exec(containerId, 'cat', '/data/inner/file', '/etc/hosts')).stdout).toBe('contentcontent');
    expect((await harness.exec(containerId, 'touch', '/ro/x')).stderr).toContain('Read-only');
    await harness.exec(containerId, 'sh', '-c', 'echo written > /data/inner/out');
    expect(fs.readFileSync(path.join(volume, 'out'), 'utf8')).toBe('written\n');
    const config = harness.sandboxConfig('novolume');
    const sandboxId = await harness.runSandbox(config);
    await expect(
      harness.createContainer(sandboxId, config, { mounts: [{ hostPath: '/no/such/place', containerPath: '/x' }] }),
    ).rejects.toMatchObject({
      code: 3,
      message: expect.stringContaining('/no/such/place'),
    });
    await harness.removeAll();
    expect(harness.leftovers()).toEqual([]);
  });

  test('containers of a pod share network, host name, shared memory and, if asked for, processes', async () => {
    const pid = { securityContext: { namespaceOptions: { pid: cri.NamespaceMode.POD } } };
    const { sandboxId, containerId, config } = await harness.runPod(
      'shared',
      { ...sleeper, linux: pid },
      { linux: pid },
    );
    const second = await harness.createContainer(sandboxId, config, {
      metadata: { name: 'second', attempt: 0 },
      command: ['sleep', '1000'],
      logPath: 'second/0.log',
      linux: pid,
    });
    await call(harness.runtime, harness.runtime.startContainer, { containerId: second });
    // A container has started when its process may become the program, which takes it a moment.
    await eventually(async () => {
      const processes = (await harness.exec(containerId, 'ps')).stdout;
      expect(processes).toMatch(/^\s+1 .*\/pause -P$/m);
      expect(processes).toContain('sleep 1000');
    });
    expect((await harness.exec(containerId, 'ls', '/proc/1/root')).exitCode).not.toBe(0);
    await harness.exec(containerId, 'sh', '-c', 'echo shared > /dev/shm/file');
    expect((await harness.exec(second, 'sh', '-c', 'cat /dev/shm/file; hostname')).stdout).toBe('shared\nshared\n');
    await call(harness.runtime, harness.runtime.removePodSandbox, { podSandboxId: sandboxId });
    expect(harness.leftovers()).toEqual([]);
  });

  test("a pod on the node's network has its name, and kernel parameters only of its own namespaces are allowed", async () => {
    const linux = {
      securityContext: { namespaceOptions: { network: cri.NamespaceMode.NODE, pid: cri.NamespaceMode.CONTAINER } },
    };
    const { containerId } = await harness.runPod('host', { ...sleeper, linux }, { linux, hostname: '' });
    expect((await harness.exec(containerId, 'hostname')).stdout).toBe(
      fs.readFileSync('/proc/sys/kernel/hostname', 'utf8'),
    );
    const withSysctl = (name: string): cri.PodSandboxConfig =>
      harness.sandboxConfig('sysctl', {
        linux: {
          sysctls: { [name]: '1' },
          securityContext: { namespaceOptions: { pid: cri.NamespaceMode.CONTAINER } },
        },
      });
    await expect(harness.runSandbox(withSysctl('vm.swappiness'))).rejects.toMatchObject({ code: 3 });
    const config = withSysctl('net.ipv4.ip_unprivileged_port_start');
    const sandboxId = await harness.runSandbox(config);
    const other = await harness.createContainer(sandboxId, config, sleeper);
    await call(harness.runtime, harness.runtime.startContainer, { containerId: other });
    expect((await harness.exec(other, 'cat', '/proc/sys/net/ipv4/ip_unprivileged_port_start')).stdout).toBe('1\n');
  });

  test('limits can be changed while a container runs', async () => {
    const { containerId } = await harness.runPod('limits', {
      ...sleeper,
      linux: {
        resources: { memoryLimitInBytes: 32n << 20n, cpuShares: 100n },
        securityContext: { namespaceOptions: { pid: cri.NamespaceMode.CONTAINER } },
      },
    });
    const linux = cri.LinuxContainerResources.fromPartial({ memoryLimitInBytes: 64n << 20n });
    await call(harness.runtime, harness.runtime.updateContainerResources, { containerId, linux, annotations: {} });
    expect((await harness.containerStatus(containerId)).resources?.linux).toMatchObject({
      memoryLimitInBytes: 64n << 20n,
      cpuShares: 100n,
    });
    const { stats } = await call(harness.runtime, harness.runtime.listContainerStats, { filter: undefined });
    const memory = stats[0]?.memory;
    expect((memory?.availableBytes?.value ?? 0n) + (memory?.workingSetBytes?.value ?? 0n)).toBe(64n << 20n);
  });

  test('a rotated log is reopened', async () => {
    const { containerId } = await harness.runPod('rotate', {
      command: ['sh', '-c', 'while :; do echo tick; sleep 0.05; done'],
    });
    await harness.logWith('rotate', 'tick');
    const log = path.join(harness.directory, 'logs/rotate/main/0.log');
    fs.renameSync(log, `${log}.1`);
    await call(harness.runtime, harness.runtime.reopenContainerLog, { containerId });
    await harness.logWith('rotate', 'tick');
  });

  test('calls that are repeated do not do their work twice', async () => {
    const config = harness.sandboxConfig('twice');
    const [first, second] = await Promise.all([harness.runSandbox(config), harness.runSandbox(config)]);
    expect(second).toBe(first);
    const one = await harness.createContainer(first, config, sleeper);
    expect(await harness.createContainer(first, config, sleeper)).toBe(one);
    await call(harness.runtime, harness.runtime.startContainer, { containerId: one });
    await call(harness.runtime, harness.runtime.startContainer, { containerId: one });
    await expect(harness.createContainer(first, config, sleeper)).rejects.toMatchObject({ code: 6 });
    await call(harness.runtime, harness.runtime.removeContainer, { containerId: one });
    await call(harness.runtime, harness.runtime.removeContainer, { containerId: one });
    await expect(harness.containerStatus(one)).rejects.toMatchObject({ code: 5 });
  });

  test('a program that is not there is an error that names it', async () => {
    const config = harness.sandboxConfig('nothing');
    const sandboxId = await harness.runSandbox(config);
    const attempt = harness
      .createContainer(sandboxId, config, { command: ['/no/such/program'] })
      .then(containerId => call(harness.runtime, harness.runtime.startContainer, { containerId }));
    await expect(attempt).rejects.toThrow('/no/such/program');
  });
});
