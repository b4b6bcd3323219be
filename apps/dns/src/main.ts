import { hostname } from 'node:os';
import { connect } from '@naru/client';
import { createMetrics, ownAddress, runProcess, serveHealth, systemClock, type Endpoint } from '@naru/foundation';
import { podRecordsOf, startDnsServer } from './dns-server';
import { dnsFlags } from './flags';
import { DnsService } from './presence/dns-service';
import { Replica } from './presence/replica';
import { followCluster } from './zone/cluster-data';

const startAnywayMs = 5_000;

runProcess('dns', dnsFlags, async (flags, logger, { signal, onStop }) => {
  const connection = await connect('dns', flags, logger);
  onStop('connection', () => connection.close());
  const { client, informers } = connection;
  const data = followCluster(informers, { withPods: podRecordsOf(flags.pods) === 'verified' });
  const registry = createMetrics();
  let synced = false;
  const ready = {
    name: 'informers-synced',
    check: () => {
      if (!synced) throw new Error('the first lists are not there yet');
    },
  };
  const addresses = flags['health-address'];
  const ipv6Only = addresses.length > 1;
  const healthServers = await Promise.all(
    addresses.map(address => serveHealth({ address, ipv6Only, metrics: registry, ready: [ready] })),
  );
  onStop('health', async () => void (await Promise.all(healthServers.map(server => server.close()))));
  // The cluster's names are worth waiting for, but others can be answered while the api-server is away.
  const lists = informers.start(signal);
  await Promise.race([lists, systemClock.sleep(startAnywayMs, signal)]);
  const server = await startDnsServer({ flags, data, registry, logger, signal });
  onStop('server', () => server.close());
  await lists;
  synced = true;
  logger.info({ listening: server.listening, services: data.services.size }, 'answering');
  const { port } = server.listening[0] as Endpoint;
  const advertised = flags['advertise-address'];
  const replica = new Replica({
    client,
    clock: systemClock,
    logger,
    slices: data.slices,
    service: new DnsService({ client, logger, services: data.services, clusterIps: flags['cluster-dns'] }),
    options: {
      name: flags['replica-name'] || hostname().toLowerCase(),
      addresses: advertised.length > 0 ? advertised : server.listening.map(({ host }) => ownAddress(host)),
      dnsPort: port,
      metricsPort: healthServers[0]?.port ?? 0,
    },
  });
  const presence = replica.run(signal);
  onStop('endpoint', async () => {
    await presence;
    await Promise.race([replica.leave(), systemClock.sleep(2_000)]);
    // Nodes hear of it a little later; until then questions still come here.
    await systemClock.sleep(flags['lameduck-ms']);
  });
});
