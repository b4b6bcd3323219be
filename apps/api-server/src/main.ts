import { readFile } from 'node:fs/promises';
import { runProcess, systemClock, type Flags } from '@naru/foundation';
import { Authority } from '@naru/pki';
import { ApiServer } from './api-server';
import { parseStaticTokens } from './auth/static-tokens';
import { FeedPublisher } from './feed/publisher';
import { outsideAddress } from './outside-address';
import { serverFlags } from './server-flags';
import { openStore } from './storage/open-store';

const read = (file: string): Promise<string> => readFile(file, 'utf8');
const readLines = async (file: string): Promise<string[]> =>
  (await read(file))
    .split('\n')
    .map(line => line.trim())
    .filter(line => line !== '' && !line.startsWith('#'));

runProcess('api-server', serverFlags, async (flags: Flags<typeof serverFlags>, logger, lifecycle) => {
  const { ca: caFile, nats } = flags;
  const ca = await read(caFile);
  const client = { certificate: await read(flags['client-certificate']), key: await read(flags['client-key']) };
  const tls = nats.startsWith('nats:') ? {} : { tls: { ca, cert: client.certificate, key: client.key } };
  const feed =
    nats && new FeedPublisher({ connection: { servers: nats.split(','), ...tls }, logger, clock: systemClock });
  const store = await openStore(flags);
  // As upstream: the Service of the api-server is of the cluster's first family, and leads to an address of it.
  const family = flags['service-cluster-ip-range'].split(',')[0]?.includes(':') ? 'IPv6' : 'IPv4';
  const port = Number(flags.listen.slice(flags.listen.lastIndexOf(':') + 1));
  const server = await ApiServer.build({
    logger,
    clock: systemClock,
    store,
    eventTtlSeconds: flags['event-ttl-seconds'],
    onLost: err => {
      if (lifecycle.signal.aborted) return;
      // All that this process knows comes from the store: a new one reads it anew.
      logger.fatal({ err }, 'the store can no longer be followed');
      process.exit(1);
    },
    ca,
    authority: await Authority.load({ certificate: ca, key: await read(flags['ca-key']) }),
    serving: { certificate: await read(flags.certificate), key: await read(flags.key) },
    client,
    ...(flags['proxy-client-cert-file']
      ? {
          frontProxy: {
            ca: await read(flags['requestheader-client-ca-file']),
            certificate: await read(flags['proxy-client-cert-file']),
            key: await read(flags['proxy-client-key-file']),
          },
        }
      : {}),
    serviceAccountKey: await read(flags['service-account-key']),
    staticTokens: parseStaticTokens(flags['token-file'] ? await read(flags['token-file']) : ''),
    joinSecrets: async () => (flags['join-token-file'] ? readLines(flags['join-token-file']) : []),
    clusterInfo: async () => (flags['cluster-info'] ? (JSON.parse(await read(flags['cluster-info'])) as unknown) : {}),
    services: { clusterIPRange: flags['service-cluster-ip-range'], nodePortRange: flags['service-node-port-range'] },
    admission: {
      defaultTolerations: {
        notReadySeconds: flags['default-not-ready-toleration-seconds'],
        unreachableSeconds: flags['default-unreachable-toleration-seconds'],
      },
    },
    advertise: { address: flags['advertise-address'] || outsideAddress(flags.listen, family), port },
    ...(feed ? { publish: events => feed.publish(events) } : {}),
  });
  lifecycle.onStop('server', () => server.close());
  const addresses = await server.listen(flags.listen, flags['grpc-listen']);
  if (feed) {
    feed.start();
    lifecycle.onStop('feed', () => feed.close());
  }
  logger.info({ ...addresses, revision: store.revision }, 'serving');
});
