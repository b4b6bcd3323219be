import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { silentLogger } from '@naru/foundation';
import { cri } from '@naru/proto';
import { ScriptedPlugin, pluginCalls } from '../testing/scripted-plugin';
import { capabilityArguments } from './capability-arguments';
import { Cni, type Attachment } from './cni';
import { NetworkConfigDirectory, parseNetworkConfig, type NetworkConfig } from './cni-config';
import { Networks } from './networks';

describe('CNI plugins', () => {
  let directory: string;
  let cni: Cni;

  beforeEach(() => {
    directory = fs.mkdtempSync(path.join(os.tmpdir(), 'naru-cni-'));
    cni = new Cni({ binDirectories: [directory], timeoutMs: 120_000 });
  });
  afterEach(() => fs.rmSync(directory, { recursive: true }));

  const attachment: Attachment = {
    containerId: 'c1',
    netns: '/run/netns/none',
    interfaceName: 'eth0',
    arguments: {},
    runtimeConfig: {},
  };
  const network = (more: Record<string, unknown>, ...types: string[]): NetworkConfig =>
    parseNetworkConfig(JSON.stringify({ name: 'net', plugins: types.map(type => ({ type })), ...more }));
  const called = (): string[] => pluginCalls(directory).map(({ plugin, command }) => `${command} ${plugin}`);

  test('a network is used in the newest version that it and all its plugins speak', async () => {
    new ScriptedPlugin(directory, 'new');
    new ScriptedPlugin(directory, 'old', ['0.3.1', '0.4.0', '1.0.0']);
    const several = { cniVersion: '0.3.1', cniVersions: ['0.4.0', '1.0.0', '1.1.0', '2.0.0'] };
    expect((await cni.negotiate(network(several, 'new'))).cniVersion).toBe('1.1.0');
    expect((await cni.negotiate(network(several, 'new', 'old'))).cniVersion).toBe('1.0.0');
    expect(called()).toEqual(['VERSION new', 'VERSION old']); // each once, as long as the program is the same
    expect((await cni.negotiate(network({ cniVersion: '0.4.0' }, 'absent'))).cniVersion).toBe('0.4.0');
  });

  test('versions that nobody shares are told with who speaks which', async () => {
    new ScriptedPlugin(directory, 'ancient', []);
    const newer = network({ cniVersions: ['1.0.0', '1.1.0'] }, 'ancient');
    await expect(cni.negotiate(newer)).rejects.toThrow(
      'network "net" allows CNI versions 1.1.0, 1.0.0, none of which all its plugins speak: plugin "ancient" speaks 0.1.0',
    );
    expect(() => network({ cniVersion: '2.0.0' }, 'a')).toThrow('CNI version 2.0.0, and 1.1.0 is the newest');
    expect(() => network({ cniVersion: 'new' }, 'a')).toThrow('"new" is no CNI version');
    expect(() => network({ disableGC: 'maybe' }, 'a')).toThrow('disableGC must be true or false');
  });

  test('a chain hands results on, and check and removal get the last one', async () => {
    for (const name of ['first', 'second']) new ScriptedPlugin(directory, name);
    const chain = network({ cniVersion: '1.0.0' }, 'first', 'second');
    const result = await cni.add(chain, attachment);
    expect(await cni.check(chain, attachment, result)).toBe(true);
    await cni.remove(chain, attachment, result);
    const order = ['ADD first', 'ADD second', 'CHECK first', 'CHECK second', 'DEL second', 'DEL first'];
    expect(called()).toEqual(order);
    const previous = pluginCalls(directory).map(({ input }) => (input['prevResult'] as { from?: string })?.from);
    expect(previous).toEqual([undefined, 'first', 'second', 'second', 'second', 'second']);
  });

  test('a plugin that is only for those with arguments is not started for others, and does not see that it is', async () => {
    for (const name of ['first', 'ports']) new ScriptedPlugin(directory, name);
    const ports = { type: 'ports', capabilities: { portMappings: true }, 'naru.dev/only-with-arguments': true };
    const chain = network({ cniVersion: '1.0.0', plugins: [{ type: 'first' }, ports] });
    const all = async (runtimeConfig: Record<string, unknown>): Promise<void> => {
      const result = await cni.add(chain, { ...attachment, runtimeConfig });
      await cni.check(chain, { ...attachment, runtimeConfig }, result);
      await cni.remove(chain, { ...attachment, runtimeConfig }, result);
    };
    await all({ cgroupPath: '/a' });
    expect(called()).toEqual(['ADD first', 'CHECK first', 'DEL first']);
    await all({ portMappings: [{ hostPort: 80 }] });
    expect(called().filter(call => call.endsWith('ports'))).toEqual(['ADD ports', 'CHECK ports', 'DEL ports']);
    const seen = pluginCalls(directory).find(({ plugin }) => plugin === 'ports')?.input ?? {};
    expect(Object.keys(seen).sort()).toEqual(['cniVersion', 'name', 'prevResult', 'runtimeConfig', 'type']);
  });

  test('a check tells what a plugin finds wrong, unless the network disables it or is too old', async () => {
    new ScriptedPlugin(directory, 'first').refuse('CHECK', 100, 'the route is gone');
    const check = (more: Record<string, unknown>): Promise<boolean> =>
      cni.check(network(more, 'first'), attachment, { ips: [] });
    await expect(check({ cniVersion: '0.4.0' })).rejects.toThrow('failed (check): the route is gone');
    expect(await check({ cniVersion: '1.0.0', disableCheck: true })).toBe(false);
    expect(await check({ cniVersion: '0.3.1' })).toBe(false);
  });

  test('a plugin of version 1.1 says that it cannot attach anything now, and is not asked in older ones', async () => {
    const plugin = new ScriptedPlugin(directory, 'first');
    const file = path.join(directory, 'net.conflist');
    const write = (cniVersion: string): void =>
      fs.writeFileSync(file, JSON.stringify({ cniVersion, name: 'net', plugins: [{ type: 'first' }] }));
    const networks = new Networks({ directory: new NetworkConfigDirectory(directory), cni, logger: silentLogger });
    expect(await networks.problem()).toContain('no network config found');
    write('1.0.0');
    plugin.refuse('STATUS', 50, 'the daemon is not there');
    expect(await networks.problem()).toBeUndefined();
    write('1.1.0');
    expect(await networks.problem()).toBe('plugin type="first" failed (status): the daemon is not there');
    plugin.accept('STATUS');
    expect(await networks.problem()).toBeUndefined();
  });

  test('a collection names the valid attachments to every plugin of version 1.1, unless the network disables it', async () => {
    for (const name of ['first', 'second']) new ScriptedPlugin(directory, name).refuse('GC', 999, `${name} is ill`);
    const collect = (more: Record<string, unknown>): Promise<void> =>
      cni.collect(network(more, 'first', 'second'), [attachment]);
    await collect({ cniVersion: '1.1.0', disableGC: true });
    await collect({ cniVersion: '1.0.0' });
    expect(called()).toEqual([]);
    await expect(collect({ cniVersion: '1.1.0' })).rejects.toThrow(/first is ill.*second is ill/);
    const valid = [{ containerID: 'c1', ifname: 'eth0' }];
    expect(pluginCalls(directory).map(({ input }) => input['cni.dev/valid-attachments'])).toEqual([valid, valid]);
  });

  test('a plugin is told what the capabilities that it declares are for, and nothing else', async () => {
    new ScriptedPlugin(directory, 'first');
    const config = cri.PodSandboxConfig.fromPartial({
      portMappings: [{ hostPort: 80, containerPort: 8080, protocol: cri.Protocol.TCP }],
      dnsConfig: { servers: ['10.96.0.10'] },
      annotations: {
        'kubernetes.io/ingress-bandwidth': '1M',
        'cni.naru.dev/ips': '10.0.0.5/24, fd00::5/64',
        'cni.naru.dev/mac': '02:00:00:00:00:05',
        'cni.naru.dev/infiniband-guid': 'c2:11:22:33:44:55:66:77',
      },
    });
    const runtimeConfig = capabilityArguments(config, '/pods/p');
    const told = async (...names: string[]): Promise<unknown> => {
      const capabilities = Object.fromEntries(names.map(name => [name, true]));
      const plugins = [{ type: 'first', capabilities }];
      await cni.add(network({ cniVersion: '1.0.0', plugins }), { ...attachment, runtimeConfig });
      return pluginCalls(directory).at(-1)?.input['runtimeConfig'];
    };
    expect(await told()).toBeUndefined();
    expect(await told('ips', 'mac', 'infinibandGUID')).toEqual({
      ips: ['10.0.0.5/24', 'fd00::5/64'],
      mac: '02:00:00:00:00:05',
      infinibandGUID: 'c2:11:22:33:44:55:66:77',
    });
    expect(await told('portMappings', 'bandwidth', 'dns', 'cgroupPath')).toEqual({
      portMappings: [{ hostPort: 80, containerPort: 8080, protocol: 'tcp', hostIP: '' }],
      bandwidth: { ingressRate: 1e6, ingressBurst: 2 ** 31 - 1 },
      dns: { servers: ['10.96.0.10'], searches: [], options: [] },
      cgroupPath: '/pods/p',
    });
  });

  test('plugins in files of their own follow those of the list, unless only inlined ones are to be loaded', () => {
    const write = (name: string, content: unknown): void => {
      fs.mkdirSync(path.dirname(path.join(directory, name)), { recursive: true });
      fs.writeFileSync(path.join(directory, name), JSON.stringify(content));
    };
    const networks = new NetworkConfigDirectory(directory);
    const types = (): unknown => {
      const current = networks.current();
      return 'problem' in current ? current.problem : current.config.plugins.map(({ type }) => type);
    };
    write('10-net.conflist', { cniVersion: '1.1.0', name: 'net', plugins: [{ type: 'inlined' }] });
    expect(types()).toEqual(['inlined']);
    write('net/20-b.conf', { type: 'second' });
    write('net/10-a.conf', { type: 'first' });
    expect(types()).toEqual(['inlined', 'first', 'second']);
    write('net/10-a.conf', { type: '../escape' });
    expect(types()).toContain('a plugin has no valid type');
    const inlined = { plugins: [{ type: 'inlined' }], loadOnlyInlinedPlugins: true };
    write('10-net.conflist', { cniVersion: '1.1.0', name: 'net', ...inlined });
    expect(types()).toEqual(['inlined']);
    write('05-single.conf', { cniVersion: '0.4.0', name: 'single', type: 'alone' });
    expect(types()).toEqual(['alone']);
  });
});
