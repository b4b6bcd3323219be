import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { cri } from '@naru/proto';
import { RuntimeHarness, call, describeWithRoot } from './testing/runtime-harness';
import { ScriptedPlugin, pluginCalls } from './testing/scripted-plugin';

describeWithRoot('the network of the runtime', () => {
  const harness = new RuntimeHarness();
  const bin = path.join(harness.directory, 'bin');
  const bridge = `nt${process.pid}`;

  beforeAll(async () => {
    await harness.start(`--cni-bin-dir=${bin},/usr/lib/cni`);
  });
  afterAll(async () => {
    await harness.close();
    execFileSync('sh', ['-c', `ip link delete ${bridge} 2>/dev/null; true`]);
  });
  afterEach(() => harness.removeAll());

  const writeNetwork = (cniVersion: string, plugin: Record<string, unknown>): void => {
    const directory = path.join(harness.directory, 'cni');
    fs.mkdirSync(directory, { recursive: true });
    const content = JSON.stringify({ cniVersion, name: 'naru-test', plugins: [plugin] });
    fs.writeFileSync(path.join(directory, '10-test.conflist'), content);
  };
  const ipam = async (): Promise<Record<string, unknown>> => ({
    type: 'host-local',
    dataDir: path.join(harness.directory, 'ipam'),
    ranges: [[{ subnet: await harness.claimSubnet() }]],
  });
  const run = (name: string): Promise<string> => harness.runSandbox(harness.sandboxConfig(name));
  /** What the plugins say of a sandbox's attachment. */
  const checked = async (podSandboxId: string): Promise<{ netns: string; networkCheck?: string }> => {
    const { info } = await call(harness.runtime, harness.runtime.podSandboxStatus, { podSandboxId, verbose: true });
    return JSON.parse(info['info'] ?? '{}') as { netns: string; networkCheck?: string };
  };

  test.each([
    ['ptp', { type: 'ptp' }],
    ['bridge', { type: 'bridge', bridge, isGateway: true }],
  ])(
    "CHECK by Debian's %s tells that an attachment is in order, and what is missing when it is not",
    async (_, plugin) => {
      writeNetwork('1.0.0', { ...plugin, ipam: await ipam() });
      const sandbox = await run('checked');
      const { netns, networkCheck } = await checked(sandbox);
      expect(networkCheck).toBe('ok');
      harness.inside('nsenter', `--net=${netns}`, 'ip', 'address', 'flush', 'dev', 'eth0');
      expect((await checked(sandbox)).networkCheck).toContain(`plugin type="${plugin.type}" failed (check)`);
    },
  );

  test('the network is not ready while a plugin says so by STATUS, and its reason is told', async () => {
    const plugin = new ScriptedPlugin(bin, 'scripted');
    writeNetwork('1.1.0', { type: 'scripted' });
    const condition = async (): Promise<cri.RuntimeCondition | undefined> =>
      (await call(harness.runtime, harness.runtime.status, { verbose: false })).status?.conditions[1];
    plugin.refuse('STATUS', 50, 'no address is free');
    expect(await condition()).toMatchObject({
      type: 'NetworkReady',
      status: false,
      reason: 'NetworkPluginNotReady',
      message: 'Network plugin returns error: plugin type="scripted" failed (status): no address is free',
    });
    plugin.accept('STATUS');
    expect(await condition()).toMatchObject({ type: 'NetworkReady', status: true });
  });

  test('at its start the runtime tells plugins which attachments are valid', async () => {
    new ScriptedPlugin(bin, 'scripted');
    writeNetwork('1.1.0', { type: 'scripted' });
    const [kept, gone] = [await run('kept'), await run('gone')];
    await call(harness.runtime, harness.runtime.removePodSandbox, { podSandboxId: gone });
    await harness.stop('SIGKILL');
    await harness.start(`--cni-bin-dir=${bin},/usr/lib/cni`);
    const collections = pluginCalls(bin).filter(({ command }) => command === 'GC');
    expect(collections.at(-1)?.input['cni.dev/valid-attachments']).toEqual([{ containerID: kept, ifname: 'eth0' }]);
  });
});
