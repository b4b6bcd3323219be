import { Authority, createAuthority } from '@naru/pki';
import type { KubeObject } from '@naru/api';
import type { UserInfo } from '../objects/request';

/** By what extension servers know that a request comes from us, and may believe whom it names. PEM. */
export interface FrontProxy {
  /** An authority of its own: a certificate of the cluster's must not do. */
  ca: string;
  certificate: string;
  key: string;
}

/** The only name whose word is taken. */
export const frontProxyName = 'front-proxy-client';

/** One that lasts as long as this process: for a single api-server. */
export async function createFrontProxy(): Promise<FrontProxy> {
  const authority = await Authority.load(await createAuthority({ commonName: 'front-proxy-ca' }));
  const client = await authority.issue({ subject: { commonName: frontProxyName }, usages: ['client'] });
  return { ca: authority.certificate, ...client };
}

const headerNames = {
  'requestheader-username-headers': 'X-Remote-User',
  'requestheader-uid-headers': 'X-Remote-Uid',
  'requestheader-group-headers': 'X-Remote-Group',
  'requestheader-extra-headers-prefix': 'X-Remote-Extra-',
} as const;

/** What extension servers read to know whom to trust. Source: kube-apiserver's clusterauthenticationtrust controller. */
export function authenticationConfigMap(clientCa: string, { ca }: Pick<FrontProxy, 'ca'>): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'extension-apiserver-authentication', namespace: 'kube-system' },
    data: {
      'client-ca-file': clientCa,
      'requestheader-client-ca-file': ca,
      'requestheader-allowed-names': JSON.stringify([frontProxyName]),
      ...Object.fromEntries(Object.entries(headerNames).map(([key, name]) => [key, JSON.stringify([name])])),
    },
  } as KubeObject;
}

/** The user of a request as an extension server is told; what the client itself says in these headers is dropped. */
export function remoteUserHeaders(
  incoming: Record<string, unknown>,
  { username, uid, groups, extra }: UserInfo,
): Record<string, string | string[] | undefined> {
  const headers: Record<string, string | string[] | undefined> = {};
  for (const name of Object.keys(incoming)) if (name.startsWith('x-remote-')) headers[name] = undefined;
  headers['x-remote-user'] = latin1(username);
  if (uid) headers['x-remote-uid'] = latin1(uid);
  headers['x-remote-group'] = groups.map(latin1);
  for (const [key, values] of Object.entries(extra ?? {}))
    headers[`x-remote-extra-${encodeURIComponent(key).toLowerCase()}`] = values.map(latin1);
  return headers;
}

/** Go puts UTF-8 into headers as it is; Node wants it as Latin-1. */
function latin1(text: string): string {
  return Buffer.from(text.replace(/[\r\n\0]/g, ' ')).toString('latin1');
}
