import type { Registry } from 'prom-client';
import { readFileSync } from 'node:fs';
import { UsageError, addressesOf, parseListen, systemClock, type Endpoint, type Logger } from '@naru/foundation';
import { AnswerCache } from './forward/answer-cache';
import { Forwarder } from './forward/forwarder';
import { parseServer, parseStubDomains, serversOf, type ServerAddress } from './forward/server-address';
import { Upstream } from './forward/upstream';
import { UpstreamGroup } from './forward/upstream-group';
import { createDnsMetrics, registerGauges } from './metrics/metrics';
import { Handler } from './server/handler';
import { Resolver } from './server/resolver';
import { serveTcp } from './server/tcp-server';
import { serveUdp } from './server/udp-server';
import type { ClusterData } from './zone/cluster-data';
import { Zone, type PodRecords } from './zone/zone';
import type { DnsFlags } from './flags';

export type ServerFlags = Pick<
  DnsFlags,
  | 'listen'
  | 'cluster-domain'
  | 'pods'
  | 'ttl'
  | 'upstream'
  | 'resolv-conf'
  | 'stub-domain'
  | 'cache-entries'
  | 'cache-ttl'
  | 'max-concurrent'
>;

export interface DnsServerDeps {
  flags: ServerFlags;
  data: ClusterData;
  registry: Registry;
  logger: Logger;
  signal: AbortSignal;
}

export interface DnsServer {
  /** As bound: a port 0 has become a real one. */
  listening: Endpoint[];
  close(): Promise<void>;
}

const maxCacheBytes = 8 * 1024 * 1024;
/** Questions that wait for the same answers take little each. */
const waitingPerFlight = 4;

export function podRecordsOf(value: string): PodRecords {
  if (value === 'insecure' || value === 'verified' || value === 'disabled') return value;
  throw new UsageError(`flag --pods: "${value}" is none of insecure, verified, disabled`);
}

function serversFor(flags: ServerFlags, listen: Endpoint[], logger: Logger): ServerAddress[] {
  if (flags.upstream.length > 0) return flags.upstream.map(parseServer);
  let servers: ServerAddress[] = [];
  try {
    servers = serversOf(readFileSync(flags['resolv-conf'], 'utf8'));
  } catch (err) {
    logger.warn({ err, file: flags['resolv-conf'] }, 'no servers for other names');
  }
  // Asking ourselves would go round for ever.
  return servers.filter(server => !listen.some(own => own.host === server.host && own.port === server.port));
}

/** Puts the parts together and listens. Throws UsageError for flags that make no sense. */
export async function startDnsServer({ flags, data, registry, logger, signal }: DnsServerDeps): Promise<DnsServer> {
  const listen = flags.listen.map(parseListen);
  const name = `dns://:${listen[0]?.port ?? 0}`;
  const metrics = createDnsMetrics({ registry, server: name });
  const now = (): number => performance.now();
  const group = (servers: ServerAddress[]): UpstreamGroup =>
    new UpstreamGroup({
      upstreams: servers.map(server => new Upstream({ server, clock: systemClock, logger, signal })),
      now,
      observe: (...observed) => metrics.observeUpstream(...observed),
    });
  const upstreams = group(serversFor(flags, listen, logger));
  const stubDomains = new Map(
    [...parseStubDomains(flags['stub-domain'])].map(([zone, servers]) => [zone, group(servers)]),
  );
  const cache = new AnswerCache({ maxEntries: flags['cache-entries'], maxBytes: maxCacheBytes });
  const maxConcurrent = flags['max-concurrent'];
  const maxTtl = flags['cache-ttl'];
  const forwarder = new Forwarder({ upstreams, stubDomains, cache, maxTtl, maxConcurrent, now, logger });
  const podRecords = podRecordsOf(flags.pods);
  const zone = new Zone({ data, domain: flags['cluster-domain'].toLowerCase(), ttl: flags.ttl, podRecords });
  const handler = new Handler({
    resolver: new Resolver({ zone, forwarder }),
    logger,
    maxWaiting: maxConcurrent * waitingPerFlight,
    observe: exchange => metrics.observe(exchange),
  });
  const all = [upstreams, ...stubDomains.values()].flatMap(({ upstreams: of }) => of);
  registerGauges({ registry, server: name, cache, forwarder, upstreams: all, handler });
  const servers: { close(): Promise<void> }[] = [];
  const listening: Endpoint[] = [];
  const close = async (): Promise<void> => void (await Promise.all(servers.map(server => server.close())));
  try {
    for (const { host, port } of listen) {
      const tcp = await serveTcp({ host, port, handler, logger });
      servers.push(tcp);
      for (const address of addressesOf(host))
        servers.push(await serveUdp({ host: address, port: tcp.port, handler, logger }));
      listening.push({ host, port: tcp.port });
    }
  } catch (error) {
    await close();
    throw error;
  }
  return { listening, close };
}
