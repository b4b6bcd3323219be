import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { eventually } from '@naru/testing';
import { ask, clusterName, kubectl, naru, run } from './cluster';

const example = 'examples/web/web.yaml';

/** What a cluster of this name has on the machine: each entry is a thing that must be gone after `down`. */
async function traces(): Promise<string[]> {
  const found: string[] = [];
  for (const entry of readdirSync('/proc').filter(name => /^\d+$/.test(name))) {
    try {
      const command = readFileSync(`/proc/${entry}/cmdline`, 'utf8').replaceAll('\0', ' ');
      const ours = command.includes(`/run/naru-${clusterName}`) || command.includes(`/var/lib/naru/${clusterName}`);
      if (ours && !command.includes('naru/main.js')) found.push(`process ${entry} ${command}`);
    } catch {
      // It ended meanwhile.
    }
  }
  const mounts = readFileSync('/proc/self/mounts', 'utf8').split('\n');
  found.push(...mounts.filter(line => line.includes(`naru-${clusterName}`) || line.includes(`naru/${clusterName}`)));
  const { stdout: namespaces } = await run('ip', ['netns', 'list']);
  found.push(...namespaces.split('\n').filter(line => line.includes(clusterName)));
  const { stdout: links } = await run('ip', ['-o', 'link']);
  found.push(...links.split('\n').filter(line => line.includes(clusterName)));
  const { stdout: tables } = await run('nft', ['list', 'tables']);
  found.push(...tables.split('\n').filter(line => line.includes(`naru-${clusterName}`)));
  for (const hierarchy of ['', ...readdirSync('/sys/fs/cgroup')]) {
    const group = `/sys/fs/cgroup/${hierarchy}/naru-${clusterName}`;
    if (existsSync(group)) found.push(group);
  }
  return found;
}

test('down leaves nothing behind, and after up the workloads come back, on nodes configured as wanted', async () => {
  await kubectl(['apply', '-f', example]);
  await kubectl(['rollout', 'status', 'deployment/web', '--timeout=120s']);
  expect((await traces()).length).toBeGreaterThan(10);
  await naru(['down']);
  expect(await traces()).toEqual([]);
  // What is wanted of the kubelets holds for nodes that boot from then on.
  const folder = mkdtempSync(path.join(tmpdir(), 'naru-e2e-'));
  const file = path.join(folder, 'kubelet.yaml');
  writeFileSync(file, 'apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nmaxPods: 222\n');
  await naru(['up', '--kubelet-config', file]);
  rmSync(folder, { recursive: true });
  const rooms = (await ask('get', 'nodes', '-o', 'jsonpath={.items[*].status.capacity.pods}')).split(' ');
  expect(new Set(rooms)).toEqual(new Set(['222']));
  await eventually(
    async () => {
      expect(await ask('get', 'deployment', 'web', '-o', 'jsonpath={.status.readyReplicas}')).toBe('3');
    },
    90_000,
    200,
  );
  await kubectl(['delete', '-f', example]);
});

test('up on a running cluster changes nothing, and a second one at the same time is refused or waits', async () => {
  const list = async (): Promise<unknown> => {
    const { stdout } = await naru(['status', '--output', 'json']);
    return (JSON.parse(stdout) as { processes: { name: string; pid: number }[] }).processes.map(({ name, pid }) => [
      name,
      pid,
    ]);
  };
  const before = await list();
  const outcomes = await Promise.all([naru(['up'], { anyCode: true }), naru(['up'], { anyCode: true })]);
  for (const { code, stderr } of outcomes) if (code !== 0) expect(stderr).toMatch(/another/);
  expect(outcomes.map(({ code }) => code)).toContain(0);
  expect(await list()).toEqual(before);
});
