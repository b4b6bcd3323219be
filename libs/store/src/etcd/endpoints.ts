import * as grpc from '@grpc/grpc-js';
import { StatusError } from '@naru/foundation';
import { etcd } from '@naru/proto';
import { toStatusError } from './etcd-errors';

/** PEM. Without `certificate` and `key` the client shows none. */
export interface EtcdTls {
  ca?: string | undefined;
  certificate?: string | undefined;
  key?: string | undefined;
}

/** One member of the cluster: all its services over one connection. */
export interface Endpoint {
  url: string;
  kv: etcd.KVClient;
  watch: etcd.WatchClient;
  lease: etcd.LeaseClient;
  maintenance: etcd.MaintenanceClient;
  channel: grpc.Channel;
  /** It answered with an error: others are preferred until then. */
  avoidUntilMs: number;
}

const connectTimeoutMs = 5_000;
const callTimeoutMs = 10_000;
const avoidMs = 2_000;
/** The largest answer is a page of 1000 objects of 1.5 MB at the very most. */
const maxReceiveBytes = 2 ** 31 - 1;
const channelOptions: grpc.ChannelOptions = {
  'grpc.max_receive_message_length': maxReceiveBytes,
  'grpc.max_send_message_length': maxReceiveBytes,
  'grpc.keepalive_time_ms': 10_000,
  'grpc.keepalive_timeout_ms': 5_000,
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 2_000,
};

type Unary<Request, Reply> = (
  request: Request,
  metadata: grpc.Metadata,
  options: Partial<grpc.CallOptions>,
  callback: (error: grpc.ServiceError | null, reply: Reply) => void,
) => grpc.ClientUnaryCall;

/**
 * The members of an etcd cluster. A call goes to the member that the last one went to, while it is connected; then to
 * another that is. No call is repeated: only the caller knows whether that would be right.
 */
export class Endpoints {
  readonly all: readonly Endpoint[];
  private current = 0;

  /** `urls`: http://HOST:PORT or https://HOST:PORT. */
  constructor(urls: readonly string[], tls: EtcdTls) {
    if (urls.length === 0) throw new Error('Cannot use etcd without an endpoint');
    this.all = urls.map(url => open(url, tls));
  }

  /** A connected member; waits for one for some seconds. @throws StatusError ServiceUnavailable */
  async pick(): Promise<Endpoint> {
    const ready = this.ready();
    if (ready) return ready;
    const deadline = Date.now() + connectTimeoutMs;
    const attempts = this.all.map(
      endpoint =>
        new Promise<void>((resolve, reject) =>
          endpoint.kv.waitForReady(deadline, error => (error ? reject(error) : resolve())),
        ),
    );
    try {
      await Promise.any(attempts);
    } catch (cause) {
      const urls = this.all.map(({ url }) => url).join(', ');
      throw new StatusError('ServiceUnavailable', `the store is away: cannot connect to etcd at ${urls}`, { cause });
    }
    return this.ready() ?? this.all[this.current]!;
  }

  async call<Request, Reply>(
    method: (endpoint: Endpoint) => Unary<Request, Reply>,
    request: Request,
    endpoint?: Endpoint,
  ): Promise<Reply> {
    const chosen = endpoint ?? (await this.pick());
    return new Promise((resolve, reject) => {
      const options = { deadline: Date.now() + callTimeoutMs };
      method(chosen)(request, new grpc.Metadata(), options, (error, reply) => {
        if (!error) return resolve(reply);
        this.blame(chosen, error);
        reject(toStatusError(error));
      });
    });
  }

  /** The member did not do as asked: the next call tries another one first. */
  blame(endpoint: Endpoint, error: grpc.ServiceError): void {
    if (error.code === grpc.status.UNAVAILABLE || error.code === grpc.status.DEADLINE_EXCEEDED)
      endpoint.avoidUntilMs = Date.now() + avoidMs;
  }

  close(): void {
    for (const { kv } of this.all) kv.close();
  }

  private ready(): Endpoint | undefined {
    const { all } = this;
    const now = Date.now();
    let fallback: Endpoint | undefined;
    for (let i = 0; i < all.length; i++) {
      const index = (this.current + i) % all.length;
      const endpoint = all[index]!;
      // Asking also makes an idle one connect.
      if (endpoint.channel.getConnectivityState(true) !== grpc.connectivityState.READY) continue;
      if (endpoint.avoidUntilMs > now) {
        fallback ??= endpoint;
        continue;
      }
      this.current = index;
      return endpoint;
    }
    return fallback;
  }
}

function open(url: string, tls: EtcdTls): Endpoint {
  const { protocol, host } = new URL(url);
  if (protocol !== 'http:' && protocol !== 'https:')
    throw new Error(`Cannot use etcd endpoint ${url}: want http://HOST:PORT or https://HOST:PORT`);
  const credentials = protocol === 'https:' ? secure(tls) : grpc.credentials.createInsecure();
  const address = host.includes(':') ? host : `${host}:2379`;
  const channel = new grpc.Channel(address, credentials, channelOptions);
  const options = { channelOverride: channel };
  return {
    url,
    channel,
    kv: new etcd.KVClient(address, credentials, options),
    watch: new etcd.WatchClient(address, credentials, options),
    lease: new etcd.LeaseClient(address, credentials, options),
    maintenance: new etcd.MaintenanceClient(address, credentials, options),
    avoidUntilMs: 0,
  };
}

function secure({ ca, certificate, key }: EtcdTls): grpc.ChannelCredentials {
  const bytes = (pem: string | undefined): Buffer | null => (pem ? Buffer.from(pem) : null);
  return grpc.credentials.createSsl(bytes(ca), bytes(key), bytes(certificate));
}
