import type { FlagSpec, Flags, Logger } from '@naru/foundation';
import type { Feed } from './feed';
import { GrpcObjectsClient } from './grpc-objects-client';
import { InformerFactory } from './informer-factory';
import { NatsFeed } from './nats-feed';
import type { ObjectsClient } from './objects-client';

/** The flags by which a process finds the control plane and shows who it is. */
export const connectionFlags = {
  'api-server': { description: 'HOST:PORT of the gRPC door of the api-server', type: 'string', required: true },
  nats: { description: 'tls://HOST:PORT of the event bus', type: 'string', required: true },
  ca: { description: 'file with the certificate authority of the cluster (PEM)', type: 'string', required: true },
  certificate: { description: 'file with the certificate of this process (PEM)', type: 'string', required: true },
  key: { description: 'file with the key of that certificate (PEM)', type: 'string', required: true },
} as const satisfies Record<string, FlagSpec>;

export interface Connection {
  client: ObjectsClient;
  feed: Feed;
  informers: InformerFactory;
  close(): Promise<void>;
}

/** Opens both wires: gRPC to ask, NATS to be told. Neither has to be up yet: each keeps trying. */
export function connect(name: string, flags: Flags<typeof connectionFlags>, logger: Logger): Connection {
  const tls = { ca: flags.ca, certificate: flags.certificate, key: flags.key };
  const client = new GrpcObjectsClient(flags['api-server'], tls);
  const secure = !flags.nats.startsWith('nats:');
  const feed = new NatsFeed({ servers: flags.nats.split(','), name, logger, ...(secure ? { tls } : {}) });
  return {
    client,
    feed,
    informers: new InformerFactory({ client, feed, logger }),
    async close() {
      await feed.close();
      client.close();
    },
  };
}
