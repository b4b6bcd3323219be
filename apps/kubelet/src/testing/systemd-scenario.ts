import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import type { Container, Pod, Stored } from '@naru/api';
import { MemoryObjects, checkInScenario } from '@naru/testing';
import { CriClient } from '../cri/cri-client';
import { ScenarioPods, endpoint, soon, startKubelet, startRuntime } from './scenario-node';

/** What the kubelet and our runtime do where systemd makes the cgroups; runs there as a program. */
const mi = 2 ** 20;
const run = promisify(execFile);

const read = (cgroup: string, file: string): string =>
  fs.readFileSync(path.join('/sys/fs/cgroup', cgroup, file), 'utf8').trim();

/** A property of a unit, as systemd has it. */
function unit(name: string, property: string): string {
  return execFileSync('systemctl', ['show', '--value', '-p', property, name], { encoding: 'utf8' }).trim();
}

async function main(): Promise<void> {
  const [program = ''] = process.argv.slice(2);
  const api = new MemoryObjects();
  await startRuntime(program, ['--cgroup-driver=systemd']);
  const { kubelet } = await startKubelet(api, ['--eviction-hard=memory.available<1Mi', '--pod-max-pids=64']);
  const node = new ScenarioPods(api);
  const create = (name: string, container: Partial<Container>): Promise<Stored<Pod>> =>
    node.create(name, {
      hostNetwork: true,
      containers: [{ name: 'main', image: 'busybox:test', imagePullPolicy: 'IfNotPresent', ...container }],
    });

  const resources = { requests: { cpu: '100m', memory: '32Mi' }, limits: { cpu: '500m', memory: '64Mi' } };
  const command = ['/bin/sh', '-c', 'trap "exit 0" TERM; while :; do sleep 1 & wait; done'];
  const pod = await create('limited', { command, resources });
  const id = await node.running('limited');
  const slice = `kubepods-burstable-pod${pod.metadata.uid.replaceAll('-', '_')}.slice`;
  const place = `/kubepods.slice/kubepods-burstable.slice/${slice}`;

  await checkInScenario('a pod is a slice of systemd and its container a scope, each with its limits', () => {
    assert.equal(unit(slice, 'ControlGroup'), place);
    assert.equal(unit(slice, 'MemoryMax'), String(64 * mi));
    assert.equal(unit(slice, 'TasksMax'), '64');
    assert.equal(unit(slice, 'CPUQuotaPerSecUSec'), '500ms');
    assert.equal(read(place, 'cpu.max'), '50000 100000');
    assert.equal(unit(`naru-${id}.scope`, 'ControlGroup'), `${place}/naru-${id}.scope`);
    assert.equal(read(`${place}/naru-${id}.scope`, 'memory.max'), String(64 * mi));
    // What its class weighs: a tenth of a processor.
    assert.equal(unit('kubepods-burstable.slice', 'CPUWeight'), '4');
    return Promise.resolve();
  });
  await checkInScenario('limits stay when systemd is reloaded', () => {
    execFileSync('systemctl', ['daemon-reload']);
    assert.equal(read(place, 'memory.max'), String(64 * mi));
    assert.equal(read(`${place}/naru-${id}.scope`, 'cpu.max'), '50000 100000');
    return Promise.resolve();
  });
  await checkInScenario('usage of pods and containers is read from slices and scopes', async () => {
    const client = new CriClient(endpoint);
    const stats = await client.listContainerStats();
    client.close();
    assert.ok((stats.find(({ attributes }) => attributes?.id === id)?.memory?.usageBytes?.value ?? 0n) > 0n);
    const { summary, cadvisor } = kubelet.measures;
    const [figures] = (await summary.fresh()).pods;
    assert.ok((figures?.memory?.usageBytes ?? 0) > 0);
    assert.ok((figures?.process_stats?.process_count ?? 0) > 0);
    assert.match(cadvisor.text(), new RegExp(`container_memory_working_set_bytes{[^}]*naru-${id}.scope`));
  });
  await checkInScenario('a container in a scope that takes too much memory is OOMKilled', async () => {
    await create('greedy', { command: ['tail', '/dev/zero'], resources: { limits: { memory: '16Mi' } } });
    await node.container('greedy', state => state.includes('OOMKilled'));
  });
  await checkInScenario('slices and scopes go with their pods', async () => {
    for (const name of ['limited', 'greedy']) await node.delete(name);
    await soon(async () => {
      // The kubelet runs in this process, and does nothing while it waits for a program.
      const { stdout } = await run('systemctl', ['list-units', '--all', '--no-legend', 'kubepods-*', 'naru-*.scope']);
      const left = stdout.split('\n').filter(Boolean);
      assert.deepEqual(
        left.map(line => /\S+\.(slice|scope)/.exec(line)?.[0]),
        ['kubepods-besteffort.slice', 'kubepods-burstable.slice'],
      );
    });
  });
  process.exit(0);
}

main().catch((error: unknown) => {
  process.stdout.write(`${String((error as Error).stack)}\n`);
  process.exit(1);
});
