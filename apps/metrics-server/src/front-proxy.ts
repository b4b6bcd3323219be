import { configMaps } from '@naru/api';
import type { ObjectsClient } from '@naru/client';

/** By whom the api-server's aggregation layer shows itself. */
export interface FrontProxy {
  /** PEM of the authority of its client certificate. */
  ca: string;
  /** Common names that it may have; none: any. */
  allowedNames: readonly string[];
}

const key = { namespace: 'kube-system', name: 'extension-apiserver-authentication' };

/** Reads what the api-server has published for extension servers. Throws when it has not, or the CA is missing. */
export async function readFrontProxy(client: Pick<ObjectsClient, 'get'>): Promise<FrontProxy> {
  const { data = {} } = await client.get(configMaps, key);
  const ca = data['requestheader-client-ca-file'];
  if (!ca) throw new Error(`config map ${key.namespace}/${key.name} has no requestheader-client-ca-file`);
  const names = JSON.parse(data['requestheader-allowed-names'] ?? '[]') as unknown;
  return { ca, allowedNames: Array.isArray(names) ? names.map(String) : [] };
}
