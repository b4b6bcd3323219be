import { readFileSync } from 'node:fs';
import { nodes, pods, type Pod, type Stored } from '@naru/api';
import { connect } from '@naru/client';
import {
  createMetrics,
  ownAddress,
  parseListen,
  runPeriodically,
  runProcess,
  serveHealth,
  systemClock,
} from '@naru/foundation';
import { metricsServerFlags } from './flags';
import { readFrontProxy } from './front-proxy';
import { MetricsApi } from './metrics-api';
import { MetricsServer } from './metrics-server';
import { Registration } from './registration';
import { Scraper } from './scraper';
import { UsageStore } from './usage-store';

const trustPeriodMs = 60_000;

runProcess('metrics-server', metricsServerFlags, async (flags, logger, { signal, onStop }) => {
  const listen = parseListen(flags.listen);
  const connection = await connect('metrics-server', flags, logger);
  onStop('connection', () => connection.close());
  const { client, informers } = connection;
  const store = new UsageStore();
  const nodeInformer = informers.informer({ type: nodes });
  nodeInformer.addHandler({ onDelete: node => store.forgetNode(node.metadata.name) });
  const podInformer = informers.informer<Pod>({ type: pods, transform: slim });
  const api = new MetricsApi({ nodes: nodeInformer.lister, pods: podInformer.lister, store });
  const server = new MetricsServer({
    api,
    logger,
    certificate: flags['serving-certificate'],
    key: flags['serving-key'],
  });
  await server.listen(listen.host, listen.port);
  onStop('server', () => server.close());
  const registry = createMetrics();
  const scraper = new Scraper({
    nodes: nodeInformer.lister,
    store,
    clock: systemClock,
    logger,
    registry,
    tls: { ca: flags.ca, certificate: flags.certificate, key: flags.key },
    resolutionMs: flags['metric-resolution-ms'],
  });
  const scraped = {
    name: 'metric-storage-ready',
    check: () => {
      if (!scraper.hasLooked) throw new Error('no node has been asked yet');
    },
  };
  const health = await serveHealth({ address: flags['health-address'], metrics: registry, ready: [scraped] });
  onStop('health', () => health.close());
  await informers.start(signal);
  const trust = {
    clock: systemClock,
    logger,
    work: async () => server.trust(await readFrontProxy(client)),
    periodMs: trustPeriodMs,
    failure: 'the aggregation layer is not known yet',
  };
  const registration = new Registration({
    client,
    clock: systemClock,
    logger,
    address: flags['advertise-address'] || ownAddress(listen.host),
    port: server.port,
    ca: readFileSync(flags.ca, 'utf8'),
  });
  onStop('endpoint', () => Promise.race([registration.leave(), systemClock.sleep(2_000)]));
  await Promise.all([scraper.run(signal), runPeriodically(trust, signal), registration.run(signal)]);
});

/** Labels and names are all that is looked at. */
function slim({ apiVersion, kind, metadata }: Stored<Pod>): Stored<Pod> {
  const { name, namespace, uid, resourceVersion, labels } = metadata;
  return {
    apiVersion,
    kind,
    metadata: { name, namespace, uid, resourceVersion, ...(labels ? { labels } : {}) },
  } as Stored<Pod>;
}
