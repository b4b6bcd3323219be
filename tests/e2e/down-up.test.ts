import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Pod } from '@naru/api';
import { eventually } from '@naru/testing';
import { ask, askJson, clusterName, naru, run } from './cluster';
import { applyExample, deleteExample } from './web-example';

/** Paths and names of the cluster, and of none whose name begins alike. */
const named = new RegExp(`naru[-/]${clusterName}(?![\\w-])`);
/** Names of interfaces are short: the cluster's is hashed. */
const cable = `naru-${createHash('sha256').update(clusterName).digest('hex').slice(0, 8)}`;

/** What a cluster of this name has on the machine: each entry is a thing that must be gone after `down`. */
async function traces(): Promise<string[]> {
  const found: string[] = [];
  for (const entry of readdirSync('/proc').filter(name => /^\d+$/.test(name))) {
    try {
      const command = readFileSync(`/proc/${entry}/cmdline`, 'utf8').replaceAll('\0', ' ');
      if (named.test(command) && !command.includes('naru/main.js')) found.push(`process ${entry} ${command}`);
    } catch {
      // It ended meanwhile.
    }
  }
  const mounts = readFileSync('/proc/self/mounts', 'utf8').split('\n');
  found.push(...mounts.filter(line => named.test(line)));
  const { stdout: namespaces } = await run('ip', ['netns', 'list']);
  found.push(...namespaces.split('\n').filter(line => named.test(line)));
  const { stdout: links } = await run('ip', ['-o', 'link']);
  found.push(...links.split('\n').filter(line => line.includes(` ${cable}@`)));
  const { stdout: tables } = await run('nft', ['list', 'tables']);
  found.push(...tables.split('\n').filter(line => named.test(line)));
  for (const hierarchy of ['', ...readdirSync('/sys/fs/cgroup')]) {
    const group = `/sys/fs/cgroup/${hierarchy}/naru-${clusterName}`;
    if (existsSync(group)) found.push(group);
  }
  return found;
}

/** The containers of the example that are ready. */
async function containers(): Promise<(string | undefined)[]> {
  const { items } = await askJson<{ items: Pod[] }>('get', 'pods', '-l', 'app=web');
  const statuses = items.flatMap(({ status }) => status?.containerStatuses ?? []);
  return statuses.filter(({ ready }) => ready).map(({ containerID }) => containerID);
}

test('down leaves nothing behind, and after up the workloads come back, on nodes configured as wanted', async () => {
  await applyExample();
  const before = await containers();
  const running = await traces();
  expect(running.length).toBeGreaterThan(10);
  expect(running.join('\n')).toContain(cable);
  await naru(['down']);
  await eventually(async () => expect(await traces()).toEqual([]));
  // What is wanted of the kubelets holds for nodes that boot from then on.
  const folder = mkdtempSync(path.join(tmpdir(), 'naru-e2e-'));
  const file = path.join(folder, 'kubelet.yaml');
  writeFileSync(file, 'apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nmaxPods: 222\n');
  await naru(['up', '--kubelet-config', file]);
  rmSync(folder, { recursive: true });
  const rooms = (await ask('get', 'nodes', '-o', 'jsonpath={.items[*].status.capacity.pods}')).split(' ');
  expect(new Set(rooms)).toEqual(new Set(['222']));
  // What the store says of them at first is from before.
  await eventually(
    async () => {
      const now = await containers();
      expect(now).toHaveLength(3);
      for (const id of now) expect(before).not.toContain(id);
    },
    90_000,
    200,
  );
  await deleteExample();
});

test('up on a running cluster changes nothing, and a second one at the same time is refused or waits', async () => {
  const list = async (): Promise<unknown> => {
    const { stdout } = await naru(['status', '--output', 'json'], { anyCode: true });
    return (JSON.parse(stdout) as { processes: { name: string; pid: number }[] }).processes.map(({ name, pid }) => [
      name,
      pid,
    ]);
  };
  // Not all that `up` has started is waited for.
  await eventually(() => naru(['status']));
  const before = await list();
  const outcomes = await Promise.all([naru(['up'], { anyCode: true }), naru(['up'], { anyCode: true })]);
  expect(outcomes).toContainEqual(expect.objectContaining({ code: 0 }));
  for (const { code, stderr } of outcomes) if (code !== 0) expect(stderr).toMatch(/another naru command/);
  expect(await list()).toEqual(before);
});
