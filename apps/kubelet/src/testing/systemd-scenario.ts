import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { pods, type Container, type Pod, type Stored } from '@naru/api';
import { createLogger, createMetrics, parseFlags } from '@naru/foundation';
import { Authority, createAuthority } from '@naru/pki';
import { MemoryObjects, busyboxImage, checkInScenario, eventually, writeOciLayout } from '@naru/testing';
import { kubeletFlags } from '../config/flags';
import { effectiveConfiguration } from '../config/kubelet-configuration';
import { CriClient } from '../cri/cri-client';
import { Kubelet } from '../kubelet';

/** What the kubelet and our runtime do where systemd makes the cgroups; runs there as a program. */
const directory = '/run/naru';
const endpoint = `unix://${directory}/runtime.sock`;
const mi = 2 ** 20;
const patienceMs = 90_000;

const at = (name: string): string => path.join(directory, name);
const read = (cgroup: string, file: string): string =>
  fs.readFileSync(path.join('/sys/fs/cgroup', cgroup, file), 'utf8').trim();

/** A property of a unit, as systemd has it. */
function unit(name: string, property: string): string {
  return execFileSync('systemctl', ['show', '--value', '-p', property, name], { encoding: 'utf8' }).trim();
}

async function startRuntime(program: string): Promise<void> {
  await writeOciLayout(at('layout'), busyboxImage('busybox:test'));
  execFileSync(process.execPath, [program, 'load', '--image-store', at('images'), at('layout')]);
  const flags = [
    ...[`--listen=${endpoint}`, `--root=${at('root')}`, `--state=${at('state')}`, `--image-store=${at('images')}`],
    ...[`--cni-conf-dir=${at('cni')}`, '--health-address=127.0.0.1:0', '--cgroup-driver=systemd'],
  ];
  spawn(process.execPath, [program, ...flags], { stdio: 'inherit' });
}

async function startKubelet(api: MemoryObjects): Promise<Kubelet> {
  const ca = await createAuthority({ commonName: 'test' });
  const authority = await Authority.load(ca);
  const serving = await authority.issue({ subject: { commonName: 'node' }, usages: ['server'] });
  const files = { ca: ca.certificate, 'serving.crt': serving.certificate, 'serving.key': serving.key };
  for (const [name, text] of Object.entries(files)) fs.writeFileSync(at(name), text);
  const flags = parseFlags(kubeletFlags, [
    ...['--api-server=unused', '--nats=unused', '--certificate=unused', '--key=unused', `--ca=${at('ca')}`],
    ...['--node-name=node', '--node-ip=127.0.0.1', `--root-dir=${at('kubelet')}`, '--port=0'],
    ...[`--serving-certificate=${at('serving.crt')}`, `--serving-key=${at('serving.key')}`],
    ...[`--container-runtime-endpoint=${endpoint}`, '--eviction-hard=memory.available<1Mi', '--pod-max-pids=64'],
  ]);
  const kubelet = await Kubelet.create({
    ...{ flags, client: api, informers: api.informers(), metrics: createMetrics() },
    configuration: effectiveConfiguration(flags).configuration,
    logger: createLogger('kubelet'),
  });
  await kubelet.start();
  return kubelet;
}

async function main(): Promise<void> {
  const [program = ''] = process.argv.slice(2);
  const api = new MemoryObjects();
  await startRuntime(program);
  const kubelet = await startKubelet(api);
  const create = (name: string, container: Partial<Container>): Promise<Stored<Pod>> =>
    api.create(pods, {
      metadata: { name, namespace: 'default' },
      spec: {
        nodeName: 'node',
        hostNetwork: true,
        restartPolicy: 'Never',
        terminationGracePeriodSeconds: 1,
        tolerations: [{ operator: 'Exists' }],
        containers: [{ name: 'main', image: 'busybox:test', imagePullPolicy: 'IfNotPresent', ...container }],
      },
    });
  const container = (name: string, holds: (status: string) => boolean): Promise<string> =>
    eventually(async () => {
      const { status } = await api.get(pods, { namespace: 'default', name });
      const [first] = status?.containerStatuses ?? [];
      assert.ok(first && holds(JSON.stringify(first.state)), JSON.stringify(status));
      return first.containerID?.split('://')[1] ?? '';
    }, patienceMs);

  const resources = { requests: { cpu: '100m', memory: '32Mi' }, limits: { cpu: '500m', memory: '64Mi' } };
  const command = ['/bin/sh', '-c', 'trap "exit 0" TERM; while :; do sleep 1 & wait; done'];
  const pod = await create('limited', { command, resources });
  const id = await container('limited', state => state.includes('running'));
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
    await container('greedy', state => state.includes('OOMKilled'));
  });
  await checkInScenario('slices and scopes go with their pods', async () => {
    for (const name of ['limited', 'greedy'])
      await api.delete(pods, { namespace: 'default', name }, { gracePeriodSeconds: 1 });
    await eventually(() => {
      const listed = execFileSync('systemctl', ['list-units', '--all', '--no-legend', 'kubepods-*', 'naru-*.scope']);
      const left = listed.toString().split('\n').filter(Boolean);
      assert.deepEqual(
        left.map(line => /\S+\.(slice|scope)/.exec(line)?.[0]),
        ['kubepods-besteffort.slice', 'kubepods-burstable.slice'],
      );
    }, patienceMs);
  });
  process.exit(0);
}

main().catch((error: unknown) => {
  process.stdout.write(`${String((error as Error).stack)}\n`);
  process.exit(1);
});
