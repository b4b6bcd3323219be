import fs from 'node:fs';
import path from 'node:path';
import { cri } from '@naru/proto';
import { eventually } from '@naru/testing';
import { RuntimeHarness, call, describeWithRoot } from './testing/runtime-harness';
import { StreamClient } from './testing/stream-client';

const { CONTAINER_EXITED, CONTAINER_RUNNING, CONTAINER_CREATED } = cri.ContainerState;

describeWithRoot('a runtime that is killed and started again', () => {
  const harness = new RuntimeHarness();

  beforeAll(() => harness.setUp());
  afterAll(() => harness.close());
  afterEach(() => harness.removeAll());

  const sandboxState = async (podSandboxId: string): Promise<cri.PodSandboxState | undefined> =>
    (await call(harness.runtime, harness.runtime.podSandboxStatus, { podSandboxId, verbose: false })).status?.state;

  test('takes up its containers: they have run on, and what ended meanwhile has its exit code', async () => {
    const running = await harness.runPod('running', {
      command: ['sh', '-c', 'trap "exit 4" TERM; while :; do echo tick; sleep 0.1; done'],
    });
    const ending = await harness.runPod('ending', {
      command: ['sh', '-c', 'while [ ! -e /tmp/go ]; do sleep 0.05; done; exit 42'],
    });
    const created = await harness.createContainer(running.sandboxId, running.config, {
      metadata: { name: 'later', attempt: 0 },
      command: ['true'],
    });
    const before = await harness.containerStatus(running.containerId);
    // By then it heeds its signal.
    await harness.logWith('running', 'tick');
    await harness.stop('SIGKILL');
    // The container's files are on this machine: this is how it is told to end while nobody looks after it.
    harness.inside(
      'touch',
      path.join(harness.directory, 'run/state/containers', ending.containerId, 'rootfs-fs/tmp/go'),
    );
    await harness.start();
    expect(await harness.exited(ending.containerId)).toMatchObject({ exitCode: 42, reason: 'Error' });
    const after = await harness.containerStatus(running.containerId);
    expect(after).toMatchObject({ state: CONTAINER_RUNNING, startedAt: before.startedAt, createdAt: before.createdAt });
    expect(await sandboxState(running.sandboxId)).toBe(cri.PodSandboxState.SANDBOX_READY);
    expect((await harness.exec(running.containerId, 'hostname')).stdout).toBe('running\n');
    expect(await harness.containerStatus(created)).toMatchObject({ state: CONTAINER_CREATED });
    await call(harness.runtime, harness.runtime.startContainer, { containerId: created });
    expect(await harness.exited(created)).toMatchObject({ exitCode: 0, reason: 'Completed' });
    await call(harness.runtime, harness.runtime.stopContainer, { containerId: running.containerId, timeout: 120n });
    expect(await harness.containerStatus(running.containerId)).toMatchObject({ exitCode: 4 });
    await harness.removeAll();
    expect(harness.leftovers()).toEqual([]);
  });

  test('after a restart of the node, dead sandboxes and containers are reported as such and can be removed', async () => {
    const { sandboxId, containerId } = await harness.runPod('rebooted', { command: ['sleep', '1000'] });
    const { pid } = JSON.parse(
      (await call(harness.runtime, harness.runtime.containerStatus, { containerId, verbose: true })).info['info'] ??
        '{}',
    ) as { pid: number };
    await harness.stop('SIGKILL');
    // What a restart does: every process ends, /run is empty, mounts are gone.
    const conmon = Number(
      fs.readFileSync(path.join(harness.directory, 'run/state/containers', containerId, 'conmon.pid'), 'utf8'),
    );
    for (const process_ of [conmon, pid]) process.kill(process_, 'SIGKILL');
    for (const line of harness
      .inside('cat', '/proc/self/mountinfo')
      .split('\n')
      .filter(entry => entry.includes(harness.directory))
      .reverse()) {
      harness.inside('umount', '-l', line.split(' ')[4] ?? '');
    }
    fs.rmSync(path.join(harness.directory, 'run'), { recursive: true });
    await harness.start();
    expect(await sandboxState(sandboxId)).toBe(cri.PodSandboxState.SANDBOX_NOTREADY);
    expect(await harness.containerStatus(containerId)).toMatchObject({
      state: CONTAINER_EXITED,
      exitCode: 255,
      reason: 'Unknown',
    });
    await expect(
      call(harness.runtime, harness.runtime.execSync, { containerId, cmd: ['true'], timeout: 0n }),
    ).rejects.toMatchObject({ code: 9 });
    await call(harness.runtime, harness.runtime.removePodSandbox, { podSandboxId: sandboxId });
    expect(harness.leftovers()).toEqual([]);
  });

  test('has hung up on the terminals of its clients, and nothing of them remains', async () => {
    const { containerId } = await harness.runPod('hung-up', { command: ['sleep', '1000'] });
    const request = { containerId, tty: true, stdin: true, stdout: true, stderr: false, auditRequestId: '' };
    for (const script of ['sleep 4242', 'trap "" HUP; sleep 4242']) {
      const cmd = ['sh', '-c', script];
      new StreamClient((await call(harness.runtime, harness.runtime.exec, { ...request, cmd })).url);
    }
    const running = async (): Promise<string> => (await harness.exec(containerId, 'ps')).stdout;
    await eventually(async () => expect((await running()).match(/root +sleep 4242$/gm)).toHaveLength(2));
    expect(harness.processes('perl')).toHaveLength(2);
    await harness.stop('SIGKILL');
    await eventually(() => expect(harness.processes('perl')).toEqual([]));
    await harness.start();
    expect(await running()).not.toContain('4242');
    await harness.removeAll();
    expect(harness.leftovers()).toEqual([]);
  });

  test('a container whose conmon was killed can still be stopped and removed', async () => {
    const { sandboxId, containerId } = await harness.runPod('lonely', { command: ['sleep', '1000'] });
    process.kill(
      Number(fs.readFileSync(path.join(harness.directory, 'run/state/containers', containerId, 'conmon.pid'), 'utf8')),
      'SIGKILL',
    );
    await call(harness.runtime, harness.runtime.stopContainer, { containerId, timeout: 0n });
    expect(await harness.containerStatus(containerId)).toMatchObject({ state: CONTAINER_EXITED });
    await call(harness.runtime, harness.runtime.removePodSandbox, { podSandboxId: sandboxId });
    expect(harness.leftovers()).toEqual([]);
  });

  test('killed in the middle of many creations, it leaves nothing that cannot be removed', async () => {
    const pods = Array.from({ length: 6 }, (_, index) =>
      harness.runPod(`burst-${index}`, { command: ['sleep', '1000'] }).catch(() => undefined),
    );
    await Promise.race(pods);
    await harness.stop('SIGKILL');
    await Promise.all(pods);
    await harness.start();
    await harness.removeAll();
    expect(harness.leftovers()).toEqual([]);
  });
});
