import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { runInUserModeLinux, userModeLinuxObstacle } from '@naru/testing';
import { buildSync } from 'esbuild';
import { ipFamilies, type IpFamily } from '../../desired/ip-family';
import { describeWhere } from '../../testing/require-kernel';

const modules = [
  'ipv6',
  'ip_vs',
  ...['rr', 'lc', 'dh', 'sh', 'sed', 'nq'].map(name => `ip_vs_${name}`),
  'dummy',
  'veth',
  'bridge',
];

/** What scenario.ts checks, in a kernel that has IPVS. */
const checks = [
  'has all that it needs',
  'a cluster IP leads to all endpoints, from a pod and from a node, with the pod as client',
  'a pod reaches itself through its Service',
  'a node port answers from outside, from pods and from nodes',
  'node ports answer only on the addresses that they are to',
  'externalTrafficPolicy Local keeps the client and stays on the node',
  'externalTrafficPolicy Local without local endpoints drops what comes from outside only',
  'internalTrafficPolicy Local stays on the node',
  "a load balancer's address answers the source ranges and nobody else",
  'an external address leads to the endpoints',
  'without endpoints a connection is refused, and so is a port that the Service does not have',
  'session affinity keeps a client on its endpoint',
  'UDP is balanced',
  'the scheduler rr balances connections its way',
  'the scheduler lc balances connections its way',
  'the scheduler dh balances connections its way',
  'the scheduler sh balances connections its way',
  'the scheduler sed balances connections its way',
  'the scheduler nq balances connections its way',
  'an endpoint that leaves keeps its connections and gets no new ones',
  'what an earlier process left is put right, and what others balance is left alone',
  'is put right when others have deleted parts of it',
  'what the kernel refuses is tried again, and the next full sync puts all right',
  'cleanup leaves nothing of ours and everything of others',
];

/** How a scheduler chooses has nothing to do with the family: IPv6 is tried with the first. */
function isSchedulersOwn(name: string): boolean {
  return name.startsWith('the scheduler') && !name.includes('rr');
}

describeWhere(userModeLinuxObstacle(), 'the mode ipvs in the kernel', () => {
  const results = new Map<string, string | undefined>();

  beforeAll(async () => {
    const dir = mkdtempSync(path.join(os.tmpdir(), 'naru-ipvs-'));
    try {
      const bundle = path.join(dir, 'scenario.js');
      const entryPoints = [path.join(__dirname, 'scenario.ts')];
      buildSync({ entryPoints, outfile: bundle, bundle: true, platform: 'node', minify: true, logLevel: 'error' });
      // Its nf_tables know no IPv4.
      const legacy = ['iptables', 'ip6tables']
        .flatMap(name => [name, `${name}-restore`, `${name}-save`])
        .map(name => `ln -s /usr/sbin/xtables-legacy-multi /run/bin/${name}`);
      const script = ['mkdir /run/bin', ...legacy, `PATH=/run/bin:$PATH ${process.execPath} ${bundle}`].join('\n');
      const output = await runInUserModeLinux({ modules, script, memoryMb: 768, timeoutMs: 480_000 });
      for (const line of output.split('\n').filter(text => text.startsWith('{"family":'))) {
        const { family, name, error } = JSON.parse(line) as { family: IpFamily; name: string; error?: string };
        results.set(`${family} ${name}`, error);
      }
    } finally {
      rmSync(dir, { recursive: true });
    }
  }, 490_000);

  describe.each(ipFamilies)('with %s', family => {
    test.each(checks.filter(name => family === 'IPv4' || !isSchedulersOwn(name)))('%s', name => {
      expect([...results.keys()]).toContain(`${family} ${name}`);
      expect(results.get(`${family} ${name}`)).toBeUndefined();
    });
  });
});
