import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Node } from '@naru/api';
import { silentLogger, systemClock } from '@naru/foundation';
import { eventually } from '@naru/testing';
import { PodNetwork } from './pod-network';

const node = (name: string, number: number): Node => ({
  metadata: { name },
  spec: { podCIDR: `10.244.${number}.0/24` },
  status: { addresses: [{ type: 'InternalIP', address: `192.0.2.${number}` }] },
});

test('a node that appears while the rules of another are being set is not forgotten', async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'naru-pod-network-'));
  const routes: string[] = [];
  let duringFirstBatch: () => void = () => undefined;
  const run = async (program: string, args: readonly string[], stdin = ''): Promise<string> => {
    const command = [program, ...args].join(' ');
    if (command.endsWith('addr show'))
      return JSON.stringify([{ ifname: 'eth0', mtu: 1500, addr_info: [{ local: '192.0.2.1' }] }]);
    if (command.endsWith('-batch -')) {
      routes.push(...stdin.trim().split('\n'));
      duringFirstBatch();
      duringFirstBatch = () => undefined;
    }
    return '';
  };
  const config = {
    ...({ backend: 'host-gw', mode: 'nftables' } as const),
    nodeName: 'a',
    nodeIps: ['192.0.2.1'],
    clusterCidrs: ['10.244.0.0/16'],
    cniConfDir: folder,
    cniStateDir: folder,
    vxlan: { id: 1, port: 8472 },
  };
  const network = new PodNetwork({
    config,
    run,
    clock: systemClock,
    logger: silentLogger,
    fullSyncPeriodMs: 3_600_000,
  });
  duringFirstBatch = () => network.setNode(node('c', 3));
  network.setNode(node('a', 1));
  network.setNode(node('b', 2));
  network.start();
  await eventually(() =>
    expect(routes).toEqual([
      'route replace 10.244.2.0/24 via 192.0.2.2 proto 78',
      'route replace 10.244.3.0/24 via 192.0.2.3 proto 78',
    ]),
  );
  await network.stop();
  rmSync(folder, { recursive: true });
});
