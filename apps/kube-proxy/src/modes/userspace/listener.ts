import type { Endpoint, Protocol } from '../../desired/service-port';
import type { Balancer } from './balancer';

/** An address and port of a Service that this process listens on. */
export interface Listener {
  close(): Promise<void>;
  /** Ends what leads to endpoints that are gone; only UDP, which has no end of its own. */
  forget(isGone: (endpoint: Endpoint) => boolean): void;
}

export interface ListenerDeps {
  address: string;
  port: number;
  balancer: Balancer;
  /** May this client ask? */
  admits: (client: string) => boolean;
}

/** SCTP is not to be had from Node. */
export type Proxied = Exclude<Protocol, 'sctp'>;
