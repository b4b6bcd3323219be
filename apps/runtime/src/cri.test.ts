import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { status, type ServiceError } from '@grpc/grpc-js';
import { cri } from '@naru/proto';
import { eventually } from '@naru/testing';
import { RuntimeHarness, call, describeWithRoot } from './testing/runtime-harness';

const shell = (script: string): Record<string, unknown> => ({ command: ['/bin/sh', '-c', script] });
const forever = 'trap "exit 0" TERM; while :; do sleep 1 & wait; done';

/** What of a kind the kernel holds on behalf of this runtime. */
interface Holdings {
  mounts: number;
  cgroups: number;
  namespaces: number;
  links: number;
}

describeWithRoot('the container runtime interface', () => {
  const harness = new RuntimeHarness();
  beforeAll(() => harness.setUp());
  afterAll(() => harness.close());

  const code = async (work: Promise<unknown>): Promise<number | undefined> =>
    work.then(
      () => undefined,
      (error: ServiceError) => error.code,
    );

  async function holdings(): Promise<Holdings> {
    const [network = ''] = /^(\d+\.){3}/.exec(await harness.claimSubnet()) ?? [];
    const count = (text: string, wanted: RegExp): number => text.split('\n').filter(line => wanted.test(line)).length;
    const mounts = harness.inside('cat', '/proc/self/mountinfo');
    const find = spawnSync('find', ['/sys/fs/cgroup', '-type', 'd', '-path', `*${harness.cgroup}/*`], {
      encoding: 'utf8',
    });
    return {
      mounts: count(mounts, new RegExp(harness.directory)),
      cgroups: count(find.stdout, /./),
      namespaces: count(mounts, new RegExp(`${harness.directory}.* - nsfs `)),
      // Those of its own network: other tests have pods on this machine too.
      links: count(harness.inside('ip', '-o', '-4', 'address'), new RegExp(` inet ${network}`)),
    };
  }

  const descriptors = (): number => fs.readdirSync(`/proc/${harness.pid}/fd`).length;

  test('nothing of a pod remains in the kernel when it is gone, however many there were', async () => {
    const remove = (podSandboxId: string) => call(harness.runtime, harness.runtime.removePodSandbox, { podSandboxId });
    const run = async (name: string): Promise<string> => (await harness.runPod(name, shell('sleep 3600'))).sandboxId;
    const first = await run('first');
    for (const held of Object.values(await holdings())) expect(held).toBeGreaterThan(0);
    await remove(first);
    const [before, open] = [await holdings(), descriptors()];
    // `NARU_LONG_TESTS=1` runs as many as an operator would want to see.
    const total = process.env['NARU_LONG_TESTS'] ? 200 : 40;
    for (let done = 0; done < total; done += 8) {
      await Promise.all(Array.from({ length: 8 }, async (_, index) => remove(await run(`leak-${done + index}`))));
    }
    expect(await holdings()).toEqual(before);
    // Those of the last calls are closed after their answers.
    await eventually(() => expect(descriptors()).toBeLessThanOrEqual(open + 3));
    expect(harness.leftovers()).toEqual([]);
  });

  test('calls that are made twice have the effect of one', async () => {
    const { sandboxId, containerId, config } = await harness.runPod('twice', shell(forever));
    expect(await harness.runSandbox(config)).toBe(sandboxId);
    await call(harness.runtime, harness.runtime.startContainer, { containerId });
    for (let times = 0; times < 2; times++) {
      await call(harness.runtime, harness.runtime.stopContainer, { containerId, timeout: 1n });
      await call(harness.runtime, harness.runtime.removeContainer, { containerId });
      await call(harness.runtime, harness.runtime.stopPodSandbox, { podSandboxId: sandboxId });
      await call(harness.runtime, harness.runtime.removePodSandbox, { podSandboxId: sandboxId });
    }
    await call(harness.images, harness.images.removeImage, { image: cri.ImageSpec.fromPartial({ image: 'absent:1' }) });
  });

  test('errors have the codes of gRPC that say what they are', async () => {
    const { runtime } = harness;
    const id = '0'.repeat(64);
    const { sandboxId, containerId, config } = await harness.runPod('codes', shell('exit 0'));
    await harness.exited(containerId);
    expect({
      absent: await code(call(runtime, runtime.containerStatus, { containerId: id, verbose: false })),
      absentSandbox: await code(call(runtime, runtime.podSandboxStatus, { podSandboxId: id, verbose: false })),
      exec: await code(call(runtime, runtime.execSync, { containerId, cmd: ['true'], timeout: 1n })),
      handler: await code(
        call(runtime, runtime.runPodSandbox, { config: harness.sandboxConfig('other'), runtimeHandler: 'absent' }),
      ),
      noConfig: await code(call(runtime, runtime.runPodSandbox, { config: undefined, runtimeHandler: '' })),
      image: await code(
        harness.createContainer(sandboxId, config, {
          metadata: { name: 'b', attempt: 0 },
          image: { image: 'absent:1' },
        }),
      ),
      again: await code(harness.createContainer(sandboxId, config, shell('true'))),
      checkpoint: await code(
        call(runtime, runtime.checkpointContainer, { containerId, location: '/tmp/x', timeout: 1n }),
      ),
    }).toEqual({
      absent: status.NOT_FOUND,
      absentSandbox: status.NOT_FOUND,
      exec: status.FAILED_PRECONDITION,
      handler: status.INVALID_ARGUMENT,
      noConfig: status.INVALID_ARGUMENT,
      image: status.NOT_FOUND,
      again: status.ALREADY_EXISTS,
      checkpoint: status.UNIMPLEMENTED,
    });
    await harness.removeAll();
  });

  test('metrics of every pod and container come under the names that their descriptors give', async () => {
    const { sandboxId, containerId } = await harness.runPod('measured', shell(forever));
    const { descriptors } = await call(harness.runtime, harness.runtime.listMetricDescriptors, {});
    const { podMetrics } = await call(harness.runtime, harness.runtime.listPodSandboxMetrics, {});
    const [pod] = podMetrics;
    expect(pod?.podSandboxId).toBe(sandboxId);
    expect(pod?.containerMetrics.map(each => each.containerId)).toEqual([containerId]);
    const all = [...(pod?.metrics ?? []), ...(pod?.containerMetrics[0]?.metrics ?? [])];
    for (const { name, labelValues } of all) {
      const descriptor = descriptors.find(each => each.name === name);
      expect(descriptor?.labelKeys).toHaveLength(labelValues.length);
    }
    const value = (name: string): bigint | undefined => pod?.metrics.find(each => each.name === name)?.value?.value;
    expect(value('container_memory_usage_bytes')).toBeGreaterThan(0n);
    expect(value('container_processes')).toBeGreaterThan(0n);
    expect(value('container_network_receive_bytes_total')).toBeGreaterThanOrEqual(0n);
    const { stats } = await call(harness.runtime, harness.runtime.podSandboxStats, { podSandboxId: sandboxId });
    expect(stats?.linux?.containers).toHaveLength(1);
    await harness.removeAll();
  });

  test('the file system of images and its usage are told', async () => {
    const { imageFilesystems } = await call(harness.images, harness.images.imageFsInfo, {});
    expect(imageFilesystems[0]?.fsId?.mountpoint).toContain(harness.directory);
    expect(imageFilesystems[0]?.usedBytes?.value).toBeGreaterThan(500_000n);
  });

  test('the cgroup driver is told', async () => {
    const { linux } = await call(harness.runtime, harness.runtime.runtimeConfig, {});
    expect(linux?.cgroupDriver).toBe(cri.CgroupDriver.CGROUPFS);
  });

  test('a handler runs containers with the OCI runtime of its name, and read-only reaches what is mounted below', async () => {
    const { runtimeHandlers } = await call(harness.runtime, harness.runtime.status, { verbose: false });
    const names = runtimeHandlers.map(({ name }) => name);
    expect(names).toContain('');
    expect(names.length).toBeGreaterThan(1);
    const outer = `${harness.directory}/outer`;
    fs.mkdirSync(`${outer}/inner`, { recursive: true });
    harness.inside('mount', '-t', 'tmpfs', 'inner', `${outer}/inner`);
    for (const runtimeHandler of names) {
      const config = harness.sandboxConfig(`handler-${runtimeHandler || 'standard'}`);
      const { podSandboxId } = await call(harness.runtime, harness.runtime.runPodSandbox, { config, runtimeHandler });
      const containerId = await harness.createContainer(podSandboxId, config, {
        ...shell(forever),
        mounts: [
          { hostPath: outer, containerPath: '/ro', readonly: true },
          { hostPath: outer, containerPath: '/rro', readonly: true, recursiveReadOnly: true },
        ],
      });
      await call(harness.runtime, harness.runtime.startContainer, { containerId });
      expect((await harness.exec(containerId, 'touch', '/ro/inner/file')).exitCode).toBe(0);
      expect((await harness.exec(containerId, 'touch', '/rro/inner/file')).stderr).toContain('Read-only');
      expect((await harness.exec(containerId, 'echo', 'inside')).stdout).toBe('inside\n');
      if (runtimeHandler) expect(harness.holders(containerId)).toContain(runtimeHandler);
      await call(harness.runtime, harness.runtime.removePodSandbox, { podSandboxId });
    }
    harness.inside('umount', `${outer}/inner`);
    expect(harness.leftovers()).toEqual([]);
  });
});
