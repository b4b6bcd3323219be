import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { AnswerCache } from '../forward/answer-cache';
import type { Forwarder } from '../forward/forwarder';
import type { Upstream } from '../forward/upstream';
import type { Exchange, Handler } from '../server/handler';
import { rcodeName, typeName } from '../wire/codes';
import { Tally, TallyHistogram } from './tally';

/** CoreDNS's buckets. */
const timeBuckets = Array.from({ length: 16 }, (_, i) => 0.00025 * 2 ** i);
const sizeBuckets = [0, 100, 200, 300, 400, 511, 1023, 2047, 4095, 8291, 16e3, 32e3, 48e3, 64e3];

const sources = ['', 'kubernetes', 'forward', 'cache'] as const;

export interface MetricsOptions {
  registry: Registry;
  /** "dns://:53", as CoreDNS names the server. */
  server: string;
}

export interface DnsMetrics {
  observe(exchange: Exchange): void;
  observeUpstream(upstream: string, rcode: number | undefined, seconds: number): void;
}

/** The metrics of CoreDNS under CoreDNS's names. */
export function createDnsMetrics({ registry, server }: MetricsOptions): DnsMetrics {
  const common = { server, zone: '.', view: '' };
  const requests = new Tally(
    registry,
    { name: 'coredns_dns_requests_total', help: 'Counter of DNS requests made per zone, protocol and family.' },
    key => ({
      ...common,
      proto: key & 1 ? 'tcp' : 'udp',
      family: key & 2 ? '2' : '1',
      type: typeName(key >> 2),
    }),
  );
  const responses = new Tally(
    registry,
    { name: 'coredns_dns_responses_total', help: 'Counter of response status codes.' },
    key => ({ ...common, rcode: rcodeName(key >> 2), plugin: sources[key & 3] as string }),
  );
  const duration = new TallyHistogram(
    registry,
    {
      name: 'coredns_dns_request_duration_seconds',
      help: 'Histogram of the time (in seconds) each request took per zone.',
      buckets: timeBuckets,
    },
    () => common,
  );
  const byProtocol = (key: number): Record<string, string> => ({ ...common, proto: key & 1 ? 'tcp' : 'udp' });
  const requestSize = new TallyHistogram(
    registry,
    { name: 'coredns_dns_request_size_bytes', help: 'Size of the EDNS0 UDP buffer in bytes.', buckets: sizeBuckets },
    byProtocol,
  );
  const responseSize = new TallyHistogram(
    registry,
    { name: 'coredns_dns_response_size_bytes', help: 'Size of the returned response in bytes.', buckets: sizeBuckets },
    byProtocol,
  );
  const upstreamDuration = new Histogram({
    name: 'coredns_proxy_request_duration_seconds',
    help: 'Histogram of the time each upstream request took.',
    labelNames: ['proxy_name', 'to', 'rcode'],
    buckets: timeBuckets,
    registers: [registry],
  });
  return {
    observe({ protocol, family, type, rcode, source, requestBytes, responseBytes, seconds }) {
      const tcp = protocol === 'tcp' ? 1 : 0;
      // Unknown types share one series, so that nobody can fill the memory with them.
      const known = typeName(type) === 'other' ? 0 : type;
      requests.count((known << 2) | (family === '2' ? 2 : 0) | tcp);
      responses.count((rcode << 2) | sources.indexOf(source));
      duration.observe(0, seconds);
      requestSize.observe(tcp, requestBytes);
      responseSize.observe(tcp, responseBytes);
    },
    observeUpstream(to, rcode, seconds) {
      const code = rcode === undefined ? 'timeout' : rcodeName(rcode);
      upstreamDuration.observe({ proxy_name: 'forward', to, rcode: code }, seconds);
    },
  };
}

export interface GaugeSources extends MetricsOptions {
  cache: AnswerCache;
  forwarder: Forwarder;
  upstreams: readonly Upstream[];
  handler: Handler;
}

/** Metrics that are read from the parts when they are asked for. */
export function registerGauges(options: GaugeSources): void {
  const { registry, server, cache, forwarder, upstreams, handler } = options;
  const labels = { server, zones: '.', view: '' };
  const registers = [registry];
  const counter = (name: string, help: string, own: Record<string, string>, read: () => number): void =>
    void new Counter({
      name,
      help,
      labelNames: Object.keys(own),
      registers,
      collect() {
        this.reset();
        this.inc(own, read());
      },
    });
  new Counter({
    name: 'coredns_cache_hits_total',
    help: 'The count of cache hits.',
    labelNames: ['type', ...Object.keys(labels)],
    registers,
    collect() {
      this.reset();
      for (const type of ['success', 'denial'] as const) this.inc({ ...labels, type }, forwarder.hits[type]);
    },
  });
  counter('coredns_cache_misses_total', 'The count of cache misses.', labels, () => forwarder.misses);
  counter(
    'coredns_cache_requests_total',
    'The count of cache requests.',
    labels,
    () => forwarder.hits.success + forwarder.hits.denial + forwarder.misses,
  );
  counter(
    'coredns_cache_prefetch_total',
    'The number of times the cache has prefetched.',
    labels,
    () => forwarder.prefetched,
  );
  counter('coredns_cache_evictions_total', 'The count of cache evictions.', labels, () => cache.evictions);
  counter(
    'coredns_forward_max_concurrent_rejects_total',
    'Counter of the number of queries rejected because the concurrent queries were at maximum.',
    {},
    () => forwarder.rejected,
  );
  counter('coredns_panics_total', 'A metrics that counts the number of panics.', {}, () => handler.panics);
  new Counter({
    name: 'coredns_proxy_healthcheck_failures_total',
    help: 'Counter of the number of failed healthchecks.',
    labelNames: ['proxy_name', 'to'],
    registers,
    collect() {
      this.reset();
      for (const { name, probeFailures } of upstreams) this.inc({ proxy_name: 'forward', to: name }, probeFailures);
    },
  });
  new Gauge({
    name: 'coredns_cache_entries',
    help: 'The number of elements in the cache.',
    labelNames: ['type', ...Object.keys(labels)],
    registers,
    collect() {
      const { success, denial } = cache.sizes;
      this.set({ ...labels, type: 'success' }, success);
      this.set({ ...labels, type: 'denial' }, denial);
    },
  });
  new Gauge({
    name: 'naru_dns_waiting_requests',
    help: 'Requests that wait for other servers.',
    registers,
    collect() {
      this.set(handler.waiting);
    },
  });
}
