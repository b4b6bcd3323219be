import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { credentials } from '@grpc/grpc-js';
import { cri } from '@naru/proto';
import { createLogger, parseFlags } from '@naru/foundation';
import { busyboxImage, checkInScenario, eventually, writeOciLayout } from '@naru/testing';
import { buildRuntime } from '../build-runtime';
import { runtimeFlags } from '../flags';
import { loadArchive } from '../images/archive-loader';
import { ImageStore } from '../images/image-store';
import { call } from './call';

/** What the runtime does on a machine that has version 2 cgroups only; runs there as a program, and prints a line of JSON for each check. */
const directory = '/run/naru';
const mi = 2 ** 20;

async function main(): Promise<void> {
  const store = path.join(directory, 'images');
  await writeOciLayout(path.join(directory, 'layout'), busyboxImage());
  await loadArchive(new ImageStore(store), path.join(directory, 'layout'));
  const flags = parseFlags(runtimeFlags, [
    ...[`--listen=unix://${directory}/runtime.sock`, `--root=${directory}/root`, `--state=${directory}/state`],
    ...[`--image-store=${store}`, `--cni-conf-dir=${directory}/cni`],
  ]);
  const logger = createLogger('runtime');
  const running = await buildRuntime(flags, { version: '0', logger, signal: new AbortController().signal });
  const client = new cri.RuntimeServiceClient(running.address, credentials.createInsecure());

  const sandboxConfig = cri.PodSandboxConfig.fromPartial({
    metadata: { name: 'p', namespace: 'default', uid: 'u', attempt: 0 },
    logDirectory: path.join(directory, 'logs'),
    linux: { securityContext: { namespaceOptions: { network: cri.NamespaceMode.NODE } } },
  });
  const { podSandboxId } = await call(client, client.runPodSandbox, { config: sandboxConfig, runtimeHandler: '' });
  const start = async (name: string, script: string, resources: Record<string, unknown>): Promise<string> => {
    const config = cri.ContainerConfig.fromPartial({
      metadata: { name, attempt: 0 },
      image: { image: 'busybox:test' },
      command: ['/bin/sh', '-c', script],
      linux: { resources },
    });
    const { containerId } = await call(client, client.createContainer, { podSandboxId, config, sandboxConfig });
    await call(client, client.startContainer, { containerId });
    return containerId;
  };
  const read = async (containerId: string, file: string): Promise<string> => {
    const request = { containerId, cmd: ['cat', `/sys/fs/cgroup/${file}`], timeout: 60n };
    return Buffer.from((await call(client, client.execSync, request)).stdout)
      .toString('utf8')
      .trim();
  };

  const limited = await start('limited', 'while :; do sleep 1; done', {
    cpuQuota: 50_000n,
    cpuPeriod: 100_000n,
    cpuShares: 512n,
    memoryLimitInBytes: BigInt(64 * mi),
  });
  await checkInScenario('a container has its limits in version 2', async () => {
    assert.equal(await read(limited, 'cpu.max'), '50000 100000');
    assert.equal(await read(limited, 'memory.max'), String(64 * mi));
    assert.notEqual(await read(limited, 'cpu.weight'), '100');
  });
  await checkInScenario('a container sees no cgroup but its own in version 2', async () => {
    const request = { containerId: limited, cmd: ['cat', '/proc/self/cgroup'], timeout: 60n };
    assert.equal(
      Buffer.from((await call(client, client.execSync, request)).stdout)
        .toString('utf8')
        .trim(),
      '0::/',
    );
  });
  await checkInScenario('limits of a running container change in version 2', async () => {
    await call(client, client.updateContainerResources, {
      containerId: limited,
      linux: cri.LinuxContainerResources.fromPartial({ memoryLimitInBytes: BigInt(96 * mi) }),
      windows: undefined,
      annotations: {},
    });
    assert.equal(await read(limited, 'memory.max'), String(96 * mi));
  });
  await checkInScenario('usage is read in version 2', async () => {
    const { stats } = await call(client, client.containerStats, { containerId: limited });
    assert.ok((stats?.cpu?.usageCoreNanoSeconds?.value ?? 0n) > 0n);
    assert.ok((stats?.memory?.workingSetBytes?.value ?? 0n) > 0n);
    const pod = await call(client, client.podSandboxStats, { podSandboxId });
    assert.ok((pod.stats?.linux?.process?.processCount?.value ?? 0n) > 0n);
  });
  await checkInScenario('a container that takes too much memory is OOMKilled in version 2', async () => {
    const greedy = await start('greedy', 'exec tail /dev/zero', { memoryLimitInBytes: BigInt(16 * mi) });
    const status = await eventually(async () => {
      const answer = await call(client, client.containerStatus, { containerId: greedy, verbose: false });
      assert.equal(answer.status?.state, cri.ContainerState.CONTAINER_EXITED);
      return answer.status;
    });
    assert.equal(status.reason, 'OOMKilled');
    assert.equal(status.exitCode, 137);
  });
  await checkInScenario('nothing remains of a pod in version 2', async () => {
    await call(client, client.removePodSandbox, { podSandboxId });
    await eventually(() => assert.deepEqual(folders('/sys/fs/cgroup/naru'), []));
  });
  await running.close();
  process.exit(0);
}

function folders(place: string): string[] {
  return fs.existsSync(place)
    ? fs.readdirSync(place, { withFileTypes: true }).flatMap(each => (each.isDirectory() ? [each.name] : []))
    : [];
}

main().catch((error: unknown) => {
  process.stdout.write(`${String((error as Error).stack)}\n`);
  process.exit(1);
});
