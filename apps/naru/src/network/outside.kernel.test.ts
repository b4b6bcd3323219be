import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { isIPv6 } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { buildSync } from 'esbuild';
import { eventually } from '@naru/testing';
import { Cluster, defaultRanges, defaultSettings, type ClusterSettings } from '../cluster';
import { execute } from '../execute';
import { hostInterface } from './names';

/**
 * A machine, its node and somebody outside, as three network namespaces: what the launcher does to a machine is done to the one in the
 * middle. 10.0.66.x and fd00:66:: are between machine and outside.
 */
const suffix = process.pid.toString(36);
const settings: ClusterSettings = {
  ...defaultSettings,
  ...defaultRanges.dual,
  ipFamily: 'dual',
  name: `way-${suffix}`,
  nodeCidr: '10.67.0.0/24',
};
const cluster = new Cluster(settings);
const namespaceOf = (place: string): string => `nw${suffix}-${place}`;
const inside = (place: string): string[] => ['nsenter', `--net=/run/netns/${namespaceOf(place)}`];
const uplink = `up${suffix}`;
const folder = mkdtempSync(path.join(tmpdir(), 'naru-outside-'));
const program = path.join(folder, 'outside-program.js');
const port = 7000;
let server: ChildProcess;

interface State {
  missing: string[];
  tables: string[];
}

async function tell(order: 'open' | 'close'): Promise<State> {
  const text = await execute(
    [...inside('machine'), process.execPath, program, order, JSON.stringify(settings), uplink],
    { timeoutMs: 90_000 },
  );
  return JSON.parse(text) as State;
}

/** What the server outside says to who connects to this address of it; fails when it cannot be reached. */
function said(place: string, address: string): Promise<string> {
  const host = isIPv6(address) ? `[${address}]` : address;
  return execute([...inside(place), 'socat', '-u', `TCP:${host}:${port},connect-timeout=2`, '-']);
}

/** The address by which `address`, outside, knows a node that connects to it. */
async function seenBy(address: string): Promise<string> {
  return (await said('node', address)).replace('::ffff:', '');
}

async function cable(from: string, name: string, to: string, far: string): Promise<void> {
  await execute([
    ...['ip', '-n', namespaceOf(from), 'link', 'add', name, 'type', 'veth'],
    ...['peer', 'name', far, 'netns', namespaceOf(to)],
  ]);
}

async function configure(place: string, device: string, ...lines: string[]): Promise<void> {
  const input = ['link set lo up', ...lines.map(line => `${line} dev ${device}`), `link set ${device} up`].join('\n');
  await execute(['ip', '-n', namespaceOf(place), '-batch', '-'], { input });
}

async function setUp(): Promise<void> {
  for (const place of ['machine', 'node', 'outside']) await execute(['ip', 'netns', 'add', namespaceOf(place)]);
  const own = hostInterface(cluster);
  await cable('machine', own, 'node', 'eth0');
  await cable('machine', uplink, 'outside', 'eth0');
  await configure('machine', own, 'addr add 10.67.0.1/24', 'addr add fd00:10:67::1/64 nodad');
  await configure('machine', uplink, 'addr add 10.0.66.1/24', 'addr add fd00:66::1/64 nodad');
  await configure('node', 'eth0', 'addr add 10.67.0.11/24', 'addr add fd00:10:67::11/64 nodad');
  await configure('outside', 'eth0', 'addr add 10.0.66.2/24', 'addr add fd00:66::2/64 nodad');
  const routes = 'route add default via 10.67.0.1\nroute add default via fd00:10:67::1\n';
  await execute(['ip', '-n', namespaceOf('node'), '-batch', '-'], { input: routes });
  mkdirSync(cluster.run, { recursive: true });
  buildSync({
    entryPoints: [path.join(__dirname, '../testing/outside-program.ts')],
    outfile: program,
    bundle: true,
    platform: 'node',
    logLevel: 'error',
  });
  const serve = `require('net').createServer(socket => socket.end(socket.remoteAddress)).listen(${port}, '::')`;
  const [command = '', ...args] = [...inside('outside'), process.execPath, '-e', serve];
  server = spawn(command, args, { stdio: 'inherit' });
  await eventually(() => said('outside', '::1'));
}

async function tearDown(): Promise<void> {
  server?.kill('SIGKILL');
  for (const place of ['machine', 'node', 'outside'])
    if (existsSync(`/run/netns/${namespaceOf(place)}`)) await execute(['ip', 'netns', 'delete', namespaceOf(place)]);
  for (const made of [folder, cluster.run]) rmSync(made, { recursive: true, force: true });
}

const isRoot = process.getuid?.() === 0;
const describeAsRoot = isRoot || process.env['CI'] === 'true' ? describe : describe.skip;

describeAsRoot('the way from nodes to what is beyond the machine (needs root)', () => {
  beforeAll(setUp);
  afterAll(tearDown);

  test('is open by IPv4, and by IPv6 as soon as the user has the machine forward it; both wear the address of the machine', async () => {
    const { missing, tables } = await tell('open');
    expect(tables).toEqual([`ip naru-${settings.name}`, `ip6 naru-${settings.name}`]);
    expect(await eventually(() => seenBy('10.0.66.2'))).toBe('10.0.66.1');
    await expect(seenBy('fd00:66::2')).rejects.toThrow();
    expect(missing.length).toBeGreaterThan(0);
    await execute([...inside('machine'), 'sysctl', '-w', ...missing]);
    expect(await eventually(() => seenBy('fd00:66::2'))).toBe('fd00:66::1');
    expect((await tell('open')).missing).toEqual([]);
  });

  test('needs nothing more of a machine that forwards IPv6 as a whole', async () => {
    const sysctl = (value: string): Promise<string> => execute([...inside('machine'), 'sysctl', '-w', value]);
    // To 0: what single interfaces were told is forgotten with it.
    await sysctl('net.ipv6.conf.all.forwarding=1');
    await sysctl('net.ipv6.conf.all.forwarding=0');
    await expect(seenBy('fd00:66::2')).rejects.toThrow();
    await sysctl('net.ipv6.conf.all.forwarding=1');
    expect(await eventually(() => seenBy('fd00:66::2'))).toBe('fd00:66::1');
    expect((await tell('open')).missing).toEqual([]);
  });

  test('is closed again without a trace', async () => {
    expect((await tell('close')).tables).toEqual([]);
    await expect(seenBy('10.0.66.2')).rejects.toThrow();
    const rules = await execute([...inside('machine'), 'nft', 'list', 'ruleset']);
    expect(rules).not.toContain(settings.name);
  });
});
