import type * as grpc from '@grpc/grpc-js';
import { StatusError } from '@naru/foundation';
import type { Authenticator } from '../auth/authenticator';
import type { UserInfo } from '../objects/request';

type AnyCall = Pick<grpc.ServerWritableStream<unknown, unknown>, 'getAuthContext'>;

/**
 * Who calls. A connection's certificate never changes, and asking TLS for it costs more than most reads (a seventh of
 * the processor time under load), so it is asked once a connection.
 */
export class Peers {
  private readonly users = new WeakMap<object, UserInfo>();

  constructor(private readonly authenticator: Authenticator) {}

  /** @throws StatusError Unauthorized without a certificate that names somebody. */
  userOf(call: AnyCall): UserInfo {
    const session = sessionOf(call);
    const known = session && this.users.get(session);
    if (known) return known;
    const certificate = call.getAuthContext().sslPeerCertificate;
    const user = certificate && this.authenticator.byCertificate(certificate);
    if (!user) throw new StatusError('Unauthorized', 'Unauthorized');
    if (session) this.users.set(session, user);
    return user;
  }
}

/** The HTTP/2 session below a call. grpc-js does not show it; should it move, the certificate is asked for each call. */
function sessionOf(call: AnyCall): object | undefined {
  const { call: inner } = call as unknown as { call?: { stream?: { session?: object } } };
  return inner?.stream?.session;
}
