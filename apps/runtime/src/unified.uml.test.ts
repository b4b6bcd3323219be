import fs from 'node:fs';
import path from 'node:path';
import { runInUserModeLinux, userModeLinuxObstacle } from '@naru/testing';
import { buildSync } from 'esbuild';

const obstacle = userModeLinuxObstacle();
if (obstacle && process.env['CI'] === 'true') throw new Error(`version 2 cgroups must be tested in CI: ${obstacle}`);
const describeThere = obstacle ? describe.skip : describe;

/** What testing/unified-scenario.ts checks, in a kernel with version 2 cgroups and nothing else. */
const checks = [
  'a container has its limits in version 2',
  'a container sees no cgroup but its own in version 2',
  'limits of a running container change in version 2',
  'usage is read in version 2',
  'a container that takes too much memory is OOMKilled in version 2',
  'nothing remains of a pod in version 2',
];

describeThere('the runtime on pure version 2 cgroups', () => {
  const results = new Map<string, string | undefined>();
  let output = '';

  beforeAll(async () => {
    // Below the repository, where it finds the modules that are not bundled.
    const dist = path.resolve(__dirname, '../../../dist');
    fs.mkdirSync(dist, { recursive: true });
    const directory = fs.mkdtempSync(path.join(dist, 'unified-'));
    try {
      const bundle = path.join(directory, 'scenario.js');
      buildSync({
        entryPoints: [path.join(__dirname, 'testing/unified-scenario.ts')],
        outfile: bundle,
        bundle: true,
        platform: 'node',
        external: ['@lydell/node-pty', 'esbuild'],
        logLevel: 'error',
      });
      const script = `mount -t cgroup2 cgroup2 /sys/fs/cgroup\n${process.execPath} ${bundle}`;
      output = await runInUserModeLinux({ script, memoryMb: 768, timeoutMs: 170_000 });
      for (const line of output.split('\n').filter(text => text.startsWith('{"name":'))) {
        const { name, error } = JSON.parse(line) as { name: string; error?: string };
        results.set(name, error);
      }
    } finally {
      fs.rmSync(directory, { recursive: true });
    }
  }, 180_000);

  test.each(checks)('%s', name => {
    expect(results.has(name) ? results.get(name) : output).toBeUndefined();
  });
});
