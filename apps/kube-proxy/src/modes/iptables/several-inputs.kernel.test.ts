import type { PortChange, ServicePort } from '../../desired/service-port';
import { describeInKernel } from '../../testing/require-kernel';
import { aPort } from '../../testing/ports';
import { Shells } from '../../shells';
import { iptablesRestore, usesNfTables } from './programs';
import { readSaved } from './read-saved';
import { renderChanges, renderCleanup, renderFull } from './tables';

const family = 'IPv4';
const config = { family, clusterCidr: '10.244.0.0/16' } as const;
/** Less than a few ports have. */
const few = 8;
const all = Number.POSITIVE_INFINITY;

/** Ports with these numbers, each with a node port and its share of endpoints. */
function portsOf(from: number, to: number, endpoints: number): ServicePort[] {
  return Array.from({ length: to - from }, (_, index) => {
    const number = from + index;
    const clusterEndpoints = Array.from({ length: endpoints }, (_each, at) => ({
      address: `10.244.${number}.${at + 1}`,
      port: 8080,
      local: at === 0,
    }));
    const names = { name: `default/port-${number}:/tcp/80`, clusterIp: `10.96.0.${number + 1}` };
    return aPort({ ...names, nodePort: 30_000 + number, externalPolicy: 'local', clusterEndpoints });
  });
}

function changesOf(before: readonly ServicePort[], after: readonly ServicePort[]): PortChange[] {
  const names = new Set([...before, ...after].map(({ name }) => name));
  const find = (ports: readonly ServicePort[], wanted: string) => ports.find(({ name }) => name === wanted);
  return [...names].map(name => ({ before: find(before, name), after: find(after, name) }));
}

describeInKernel('rules that are told in several inputs', () => {
  const namespace = `naru-inputs-${process.pid}`;
  const host = new Shells();
  const inside = new Shells({ prefix: ['ip', 'netns', 'exec', namespace] });
  const { run } = inside;
  const saved = async () => readSaved(run, family, await usesNfTables(run, family));

  beforeAll(() => host.run('ip', ['netns', 'add', namespace]));
  afterAll(async () => {
    inside.close();
    await host.run('ip', ['netns', 'delete', namespace]);
    host.close();
  });

  /** Answers how many there were. */
  async function tell(inputs: Iterable<string>): Promise<number> {
    let count = 0;
    for (const text of inputs) {
      await iptablesRestore(run, family, text);
      count++;
    }
    return count;
  }

  /** Sorted: the order of rules of several ports is of no account, and that of one port is in the golden files. */
  async function ours(): Promise<string[]> {
    const lines = (await run('iptables-save', [])).split('\n');
    return lines.filter(line => line.includes('KUBE-')).sort();
  }

  async function saysJust(ports: readonly ServicePort[]): Promise<void> {
    const before = await ours();
    expect(before.length).toBeGreaterThan(ports.length);
    expect(await tell(renderFull(ports, config, await saved(), all))).toBe(1);
    expect(await ours()).toEqual(before);
  }

  test('many ports say, and leave, the same in several inputs as in one', async () => {
    const before = portsOf(0, 12, 3);
    const after = [...portsOf(6, 9, 4), ...portsOf(9, 12, 3), ...portsOf(12, 18, 2)];
    expect(await tell(renderFull(before, config, await saved(), few))).toBeGreaterThan(5);
    await saysJust(before);
    expect(await tell(renderChanges(changesOf(before, after), config, few))).toBeGreaterThan(5);
    await saysJust(after);
    expect(await tell(renderFull(before, config, await saved(), few))).toBeGreaterThan(5);
    await saysJust(before);
    expect(await tell(renderCleanup(await saved(), few))).toBeGreaterThan(5);
    expect(await ours()).toEqual([]);
  }, 120_000);

  test('an input that the kernel refuses leaves what leads to the ports as it was', async () => {
    const before = portsOf(0, 12, 3);
    await tell(renderFull(before, config, await saved(), few));
    const leading = async () => (await ours()).filter(line => /^-A KUBE-(SERVICES|NODEPORTS) /.test(line));
    const led = await leading();
    const refused = aPort({
      name: 'default/refused:/tcp/80',
      clusterEndpoints: [{ address: '10.244.99.1', port: 99_999, local: false }],
    });
    const after = [...portsOf(6, 18, 2), refused];
    await expect(tell(renderFull(after, config, await saved(), few))).rejects.toThrow(/failed with exit code/);
    expect(await leading()).toEqual(led);
    // Chains that nothing leads to were left; the next time puts that right, too.
    await tell(renderFull(before, config, await saved(), few));
    await saysJust(before);
    await tell(renderCleanup(await saved(), few));
    expect(await ours()).toEqual([]);
  }, 120_000);
});
