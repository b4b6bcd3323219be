import type { TLSSocket } from 'node:tls';
import { StatusError } from '@naru/foundation';

export interface Caller {
  user: string;
  groups: string[];
}

/**
 * The caller by its client certificate. Throws Unauthorized without a valid one, Forbidden for anyone but the api-server
 * and the cluster's administrators: a node's API reaches into every container.
 */
export function authorize(socket: TLSSocket): Caller {
  if (!socket.authorized) throw new StatusError('Unauthorized', 'Unauthorized');
  const { subject } = socket.getPeerCertificate();
  const user = [subject?.CN].flat().at(-1) ?? '';
  const groups = [subject?.O ?? []].flat();
  if (user !== '' && (user === 'kube-apiserver' || groups.includes('system:masters'))) return { user, groups };
  throw new StatusError('Forbidden', `Forbidden (user=${user}, verb=*, resource=nodes, subresource=proxy)`);
}
