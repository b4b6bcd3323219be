import { silentLogger } from '@naru/foundation';
import type { CommandRunner } from '../command';
import type { ServicePort } from '../desired/service-port';
import { aPort } from '../testing/ports';
import { proxyModes } from './registry';

interface Command {
  program: string;
  args: readonly string[];
  stdin: string;
}

/** To commands that have these words. */
const answers: Record<string, string> = {
  'ip -json addr show': JSON.stringify([{ ifname: 'eth0', addr_info: [{ local: '192.168.77.11' }] }]),
  'nft --json': '{"nftables":[]}',
  'iptables-restore --version': 'iptables-restore v1.8.9 (nf_tables)',
  'ipvsadm --list --numeric -t': 'TCP 10.96.0.3:80 rr\n  -> 10.110.3.1:8080 Masq 0 0 0\n',
};

/** A kernel where nothing is yet and everything is taken, and where nobody has connections. */
function recorder(told: Command[]): CommandRunner {
  return (program, args, stdin = '') => {
    told.push({ program, args, stdin });
    const line = [program, ...args].join(' ');
    const answer = Object.entries(answers).find(([beginning]) => line.includes(beginning))?.[1];
    return Promise.resolve(answer ?? '');
  };
}

function makePort(index: number, endpoints: readonly number[]): ServicePort {
  const place = `${index >> 8}.${index & 255}`;
  return aPort({
    name: `default/service-${index}:/tcp/80`,
    clusterIp: `10.96.${place}`,
    nodePort: 30_000 + index,
    clusterEndpoints: endpoints.map(at => ({
      address: `10.${110 + (index >> 8)}.${index & 255}.${at}`,
      port: 8080,
      local: at === 1,
    })),
  });
}

/** What a kernel with so many Services is told when an endpoint of one goes, it comes back, and a Service goes. */
async function tellChanges(
  modeName: string,
  count: number,
): Promise<Record<'full' | 'leaves' | 'comes' | 'gone', Command[]>> {
  const mode = proxyModes.find(({ name }) => name === modeName)!;
  const told: Command[] = [];
  const run = recorder(told);
  const rules = mode.build({ run, config: { family: 'IPv4', clusterCidr: '10.110.0.0/15' }, logger: silentLogger });
  const ports = Array.from({ length: count }, (_, index) => makePort(index, [1, 2, 3]));
  const take = (): Command[] => told.splice(0);
  await rules.sync({ full: true, ports: () => ports });
  const full = take();
  const [all, fewer] = [makePort(3, [1, 2, 3]), makePort(3, [2, 3])];
  await rules.sync({ full: false, changes: [{ before: all, after: fewer }] });
  const leaves = take();
  await rules.sync({ full: false, changes: [{ before: fewer, after: all }] });
  const comes = take();
  await rules.sync({ full: false, changes: [{ before: all, after: undefined }] });
  return { full, leaves, comes, gone: take() };
}

function size(commands: readonly Command[]): number {
  return commands.reduce((sum, { args, stdin }) => sum + args.join(' ').length + stdin.length, 0);
}

describe.each(['nftables', 'iptables', 'ipvs'])('the mode %s', mode => {
  test('is told the same of a change, by as many programs, however many Services there are', async () => {
    const [few, many] = [await tellChanges(mode, 10), await tellChanges(mode, 1000)];
    expect(size(many.full)).toBeGreaterThan(20 * size(few.full));
    for (const change of ['leaves', 'comes', 'gone'] as const) {
      expect(many[change]).toEqual(few[change]);
      expect(many[change].length).toBeLessThanOrEqual(4);
      expect(size(many[change])).toBeGreaterThan(40);
    }
  });
});
