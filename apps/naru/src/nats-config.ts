import { busNames } from '@naru/pki';

export interface NatsOptions {
  /** `HOST:PORT` to listen on. */
  listen: string;
  certificate: string;
  key: string;
  ca: string;
  /** JetStream wants a folder even when everything is in memory. */
  storeDir: string;
}

/**
 * What a reader needs: an ordered consumer of the stream FEED, and the feed's own subjects. Consumers that nobody listens to end by
 * themselves; to list or delete them is not allowed, or one node could end those of all others.
 */
const readerMayPublish = [
  '$JS.API.INFO',
  '$JS.API.STREAM.NAMES',
  '$JS.API.STREAM.INFO.FEED',
  '$JS.API.CONSUMER.CREATE.FEED',
  '$JS.API.CONSUMER.CREATE.FEED.>',
  '$JS.API.CONSUMER.INFO.FEED.>',
  '$JS.ACK.FEED.>',
  '$JS.FC.FEED.>',
];

const publisherMayPublish = ['feed.>', '$JS.>', '_INBOX.>'];

const mayHear = ['feed.>', '_INBOX.>'];

/**
 * The configuration of nats-server: mutual TLS with the cluster's authority, and permissions by the name in the
 * certificate (verify_and_map). The stream lives in memory only: the bus is never the store of record.
 */
export function natsConfig({ listen, certificate, key, ca, storeDir }: NatsOptions): string {
  const list = (subjects: string[]): string => JSON.stringify(subjects);
  const user = (name: string, publish: string[]): string =>
    `    { user: ${JSON.stringify(name)}, permissions: { publish: { allow: ${list(publish)} }, subscribe: { allow: ${list(mayHear)} } } }`;
  return `listen: ${JSON.stringify(listen)}
server_name: naru
# The largest object is 1.5 MiB (etcd's limit); headers and the envelope come on top.
max_payload: 8388608
# A reader that does not keep up is cut off, and lists again.
max_pending: 67108864
write_deadline: "5s"
logtime: true
jetstream {
  store_dir: ${JSON.stringify(storeDir)}
  max_memory_store: 268435456
  max_file_store: 0
}
tls {
  cert_file: ${JSON.stringify(certificate)}
  key_file: ${JSON.stringify(key)}
  ca_file: ${JSON.stringify(ca)}
  verify_and_map: true
  timeout: 5
}
authorization {
  users: [
${user(busNames.publisher, publisherMayPublish)}
${user(busNames.reader, readerMayPublish)}
  ]
}
`;
}
