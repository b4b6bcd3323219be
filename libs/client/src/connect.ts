import { readFileSync } from 'node:fs';
import { UsageError, type FlagSpec, type Flags, type Logger } from '@naru/foundation';
import { GrpcObjectsClient } from './grpc-objects-client';
import { InformerFactory } from './informer-factory';
import { loadKubeconfig } from './kubeconfig';
import { NatsFeed } from './nats-feed';
import type { ObjectsClient } from './objects-client';
import { RestConnection } from './rest-connection';
import { RestObjectsClient } from './rest-objects-client';

/** The flags by which a process finds the control plane and shows who it is. */
export const connectionFlags = {
  kubeconfig: {
    description:
      'kubeconfig of any Kubernetes API server, to ask and watch by REST; the five flags below are not needed then',
    type: 'string',
    default: '',
  },
  'api-server': { description: 'HOST:PORT of the gRPC door of the api-server', type: 'string', default: '' },
  nats: { description: 'tls://HOST:PORT of the event bus', type: 'string', default: '' },
  ca: { description: 'file with the certificate authority of the cluster (PEM)', type: 'string', default: '' },
  certificate: { description: 'file with the certificate of this process (PEM)', type: 'string', default: '' },
  key: { description: 'file with the key of that certificate (PEM)', type: 'string', default: '' },
} as const satisfies Record<string, FlagSpec>;

export interface Connection {
  client: ObjectsClient;
  informers: InformerFactory;
  /** Informers that are started apart from those above. */
  newInformers(): InformerFactory;
  /** PEM of the cluster's certificate authority, as far as it is known. */
  ca: string | undefined;
  close(): Promise<void>;
}

/**
 * Opens the wires to the control plane, which need not be up yet: each keeps trying. With a kubeconfig that is REST, to
 * ask and to watch; otherwise gRPC to ask and NATS to be told. Throws UsageError when flags are missing.
 */
export async function connect(name: string, flags: Flags<typeof connectionFlags>, logger: Logger): Promise<Connection> {
  return flags.kubeconfig ? connectByRest(name, flags.kubeconfig, logger) : connectNatively(name, flags, logger);
}

async function connectByRest(name: string, kubeconfig: string, logger: Logger): Promise<Connection> {
  const config = await loadKubeconfig(kubeconfig);
  const client = new RestObjectsClient(new RestConnection(config, name));
  const newInformers = (): InformerFactory => new InformerFactory({ client, watcher: client, logger });
  return {
    client,
    informers: newInformers(),
    newInformers,
    ca: config.ca,
    close() {
      client.close();
      return Promise.resolve();
    },
  };
}

function connectNatively(name: string, flags: Flags<typeof connectionFlags>, logger: Logger): Connection {
  for (const flag of ['api-server', 'nats', 'ca', 'certificate', 'key'] as const)
    if (flags[flag] === '')
      throw new UsageError(`flag --${flag} is required without --kubeconfig: ${connectionFlags[flag].description}`);
  const tls = { ca: flags.ca, certificate: flags.certificate, key: flags.key };
  const client = new GrpcObjectsClient(flags['api-server'], tls);
  const secure = !flags.nats.startsWith('nats:');
  const feed = new NatsFeed({ servers: flags.nats.split(','), name, logger, ...(secure ? { tls } : {}) });
  const newInformers = (): InformerFactory => new InformerFactory({ client, feed, logger });
  return {
    client,
    informers: newInformers(),
    newInformers,
    ca: readFileSync(flags.ca, 'utf8'),
    async close() {
      await feed.close();
      client.close();
    },
  };
}
