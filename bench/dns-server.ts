// The server side of bench/dns.mjs: the DNS server as it is, over a cluster in memory, with an upstream on loopback.
// Prints one line of JSON with the ports of both and serves until its standard input ends.
import { createSocket } from 'node:dgram';
import type { AddressInfo } from 'node:net';
import { endpointSlices, namespaces, services } from '@naru/api';
import { createMetrics, silentLogger } from '@naru/foundation';
import { MemoryObjects } from '@naru/testing';
import { startDnsServer } from '../apps/dns/src/dns-server';
import { followCluster } from '../apps/dns/src/zone/cluster-data';

const count = Number(process.env['SERVICES'] ?? 1000);
const endpointsEach = 10;

/** Answers every question with one address that holds for five minutes. */
async function startUpstream(): Promise<number> {
  const socket = createSocket('udp4');
  socket.on('message', (query, from) => {
    let end = 12;
    while (query[end] !== 0) end += 1 + (query[end] as number);
    const record = Buffer.from('c00c000100010000012c0004c0000201', 'hex');
    const reply = Buffer.concat([query.subarray(0, end + 5), record]);
    reply.writeUInt16BE(0x8180, 2);
    reply.writeUInt16BE(1, 6);
    reply.writeUInt16BE(0, 10);
    socket.send(reply, from.port, from.address);
  });
  await new Promise<void>(resolve => socket.bind(0, '127.0.0.1', resolve));
  return (socket.address() as AddressInfo).port;
}

function fill(api: MemoryObjects): void {
  api.seed(namespaces, { metadata: { name: 'bench' } });
  for (let i = 0; i < count; i++) {
    const ports = [{ name: 'http', port: 80, protocol: 'TCP' }];
    const metadata = { name: `service-${i}`, namespace: 'bench' };
    const clusterIP = i % 2 === 0 ? `10.96.${i >> 8}.${i & 255}` : 'None';
    api.seed(services, { metadata, spec: { clusterIP, clusterIPs: [clusterIP], ports } });
    api.seed(endpointSlices, {
      metadata: { ...metadata, labels: { 'kubernetes.io/service-name': metadata.name } },
      addressType: 'IPv4',
      endpoints: Array.from({ length: endpointsEach }, (_, n) => ({
        addresses: [`10.244.${i >> 5}.${(i & 31) * 8 + n}`],
      })),
      ports,
    });
  }
}

async function main(): Promise<void> {
  const upstream = await startUpstream();
  const api = new MemoryObjects();
  fill(api);
  const { signal } = new AbortController();
  const informers = api.informers();
  const data = followCluster(informers, { withPods: false });
  await informers.start(signal);
  const server = await startDnsServer({
    data,
    signal,
    logger: silentLogger,
    registry: createMetrics(),
    flags: {
      listen: ['127.0.0.1:0'],
      'cluster-domain': 'cluster.local',
      pods: 'insecure',
      ttl: 30,
      upstream: [`127.0.0.1:${upstream}`],
      'resolv-conf': '/dev/null',
      'stub-domain': [],
      'cache-entries': 10_000,
      'cache-ttl': 30,
      'max-concurrent': 1_000,
    },
  });
  process.stdout.write(`${JSON.stringify({ port: server.listening[0]?.port, upstream, services: count })}\n`);
  process.stdin.on('end', () => process.exit(0)).resume();
}

void main();
