// How fast Services become rules of the kernel: all of them, and one endpoint of one of them. Works in a network namespace
// of its own; needs root. The mode ipvs runs in user-mode Linux, where programs take several times longer, with iptables beside it.
// Run: npx esbuild bench/kube-proxy.ts --bundle --platform=node --log-level=error --outfile=dist/bench/kube-proxy.js && node dist/bench/kube-proxy.js
// SIZES=1000x10,10000x10 MODES=nftables,iptables,ipvs ROUNDS=10. One JSON line a measurement; times in ms, medians.
import { execFileSync } from 'node:child_process';
import type { EndpointSlice, Service } from '@naru/api';
import { silentLogger } from '@naru/foundation';
import { runInUserModeLinux } from '@naru/testing';
import { DesiredState } from '../apps/kube-proxy/src/desired/desired-state';
import { proxyModes } from '../apps/kube-proxy/src/modes/registry';
import { Shells } from '../apps/kube-proxy/src/shells';
import { ipvsKernel } from '../apps/kube-proxy/src/testing/ipvs-kernel';

const sizes = (process.env['SIZES'] ?? '1000x10,10000x10').split(',').map(size => size.split('x').map(Number));
const modes = (process.env['MODES'] ?? 'nftables,iptables,ipvs').split(',');
const rounds = Number(process.env['ROUNDS'] ?? 10);
/** Where this process is: in the machine's kernel, or in user-mode Linux by way of itself. */
const kernel = process.env['BENCH_KERNEL'] ?? 'host';

function makeService(index: number): Service {
  return {
    metadata: { namespace: 'bench', name: `service-${index}` },
    spec: {
      clusterIP: `10.${96 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}`,
      ports: [{ name: 'http', port: 80, protocol: 'TCP' }],
    },
  };
}

function makeSlice(index: number, count: number, without?: number): EndpointSlice {
  const endpoints = Array.from({ length: count }, (_, place) => {
    const number = index * count + place;
    const address = `10.${110 + (number >> 16)}.${(number >> 8) & 255}.${number & 255}`;
    return { addresses: [address], nodeName: `node-${number % 100}`, conditions: { ready: true } };
  });
  return {
    metadata: {
      namespace: 'bench',
      name: `service-${index}-1`,
      labels: { 'kubernetes.io/service-name': `service-${index}` },
    },
    addressType: 'IPv4',
    ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
    endpoints: endpoints.filter((_, place) => place !== without),
  };
}

async function time(action: () => Promise<void> | void): Promise<number> {
  const startedAt = performance.now();
  await action();
  return performance.now() - startedAt;
}

function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return Number(sorted[Math.floor(sorted.length / 2)]?.toFixed(1));
}

const namespace = `naru-bench-${process.pid}`;
const signals = ['SIGTERM', 'SIGINT'] as const;

async function measure(modeName: string, serviceCount: number, endpointCount: number): Promise<void> {
  const mode = proxyModes.find(({ name }) => name === modeName);
  if (!mode) throw new Error(`there is no mode ${modeName}`);
  execFileSync('ip', ['netns', 'add', namespace]);
  const shells = new Shells({ prefix: ['ip', 'netns', 'exec', namespace], timeoutMs: 300_000 });
  const end = (): void => {
    shells.close();
    execFileSync('ip', ['netns', 'delete', namespace]);
  };
  const cutShort = (): never => {
    end();
    process.exit(1);
  };
  for (const signal of signals) process.once(signal, cutShort);
  try {
    const rules = mode.build({
      run: shells.run,
      config: { family: 'IPv4', clusterCidr: '10.110.0.0/15' },
      logger: silentLogger,
    });
    const desired = new DesiredState({ nodeName: 'node-0', family: 'IPv4' });
    for (let index = 0; index < serviceCount; index++) {
      desired.setService(makeService(index));
      desired.setSlice(makeSlice(index, endpointCount));
    }
    const computeMs = await time(() => void desired.takeChanges());
    const fullMs = await time(() => rules.sync({ full: true, ports: () => desired.ports() }));
    const again = await time(() => rules.sync({ full: true, ports: () => desired.ports() }));
    const one: number[] = [];
    for (let round = 0; round < rounds; round++) {
      const index = Math.floor(serviceCount / 2) + round;
      // An endpoint goes, and another time comes back.
      for (const without of [3, undefined]) {
        desired.setSlice(makeSlice(index, endpointCount, without));
        one.push(await time(() => rules.sync({ full: false, changes: desired.takeChanges() })));
      }
    }
    const round1 = (value: number): number => Math.round(value * 10) / 10;
    console.log(
      JSON.stringify({
        mode: modeName,
        ...(kernel === 'host' ? {} : { kernel }),
        services: serviceCount,
        endpointsEach: endpointCount,
        computeMs: round1(computeMs),
        fullMs: round1(fullMs),
        fullAgainMs: round1(again),
        oneEndpointMs: median(one),
        oneEndpointMaxMs: round1(Math.max(...one)),
      }),
    );
  } finally {
    for (const signal of signals) process.off(signal, cutShort);
    end();
  }
}

/** An hour is a bound, not what is expected. */
async function measureInUserModeLinux(size: string): Promise<void> {
  const settings = `BENCH_KERNEL=uml MODES=iptables,ipvs SIZES=${size} ROUNDS=${rounds}`;
  const script = `${ipvsKernel.prepare}\n${settings} ${process.execPath} ${__filename}`;
  const { modules } = ipvsKernel;
  const output = await runInUserModeLinux({ modules, script, memoryMb: 2048, timeoutMs: 3_600_000 });
  console.log(output.trim());
}

async function main(): Promise<void> {
  for (const [services = 0, endpoints = 0] of sizes) {
    for (const mode of modes) {
      if (mode === 'ipvs' && kernel === 'host') await measureInUserModeLinux(`${services}x${endpoints}`);
      else await measure(mode, services, endpoints);
    }
  }
}

void main();
