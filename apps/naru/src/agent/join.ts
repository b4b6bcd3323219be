import { X509Certificate } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { StatusError } from '@naru/foundation';
import { certificateHash, createRequest, isSignedBy, notAfter, parseJoinToken, writeSecretFile } from '@naru/pki';
import type { ClusterInfo } from '../cluster-info';
import { KubeApi } from '../kube-api';

export interface JoinOptions {
  server: URL;
  token: string;
  nodeName: string;
  nodeIps: readonly string[];
  /** Folder for keys and certificates. */
  folder: string;
}

interface JoinAnswer {
  certificates: Record<Identity, string>;
  ca: string;
  clusterInfo: ClusterInfo;
}

/** Who the processes of a node are; each key is made here and never leaves. */
const identities = ['kubelet', 'kubeletServing', 'kubeProxy'] as const;
type Identity = (typeof identities)[number];

/** Certificates that end sooner than this are asked for again. */
const renewBeforeMs = 30 * 86_400_000;

/** The cluster as an earlier join left it, or undefined when this node must join (again). */
export function joinedBefore({ folder, token, nodeName, nodeIps }: JoinOptions): ClusterInfo | undefined {
  const file = (name: string): string => path.join(folder, name);
  const needed = ['ca.crt', 'cluster-info.json', ...identities.flatMap(name => [`${name}.crt`, `${name}.key`])];
  if (!needed.every(name => existsSync(file(name)))) return undefined;
  const ca = readFileSync(file('ca.crt'), 'utf8');
  if (certificateHash(ca) !== parseJoinToken(token).authorityHash) return undefined;
  for (const identity of identities) {
    const pem = readFileSync(file(`${identity}.crt`), 'utf8');
    if (!isSignedBy(pem, ca) || notAfter(pem) - Date.now() < renewBeforeMs) return undefined;
  }
  const serving = new X509Certificate(readFileSync(file('kubeletServing.crt'), 'utf8'));
  const client = new X509Certificate(readFileSync(file('kubelet.crt'), 'utf8'));
  const sameNode = client.subject.includes(`CN=system:node:${nodeName}`) && nodeIps.every(ip => serving.checkIP(ip));
  return sameNode ? (JSON.parse(readFileSync(file('cluster-info.json'), 'utf8')) as ClusterInfo) : undefined;
}

/** Fetches the authority over a connection that proves nothing, and believes it only if its hash is the token's. */
async function fetchAuthority(server: URL, authorityHash: string): Promise<string> {
  const api = new KubeApi({ host: server.hostname, port: Number(server.port || 443), ca: '', verify: false });
  try {
    const ca = await api.request<string>('GET', '/naru/v1/ca');
    if (certificateHash(ca) !== authorityHash)
      throw new StatusError('Forbidden', `${server.origin} is not the cluster of this token: another authority`);
    return ca;
  } finally {
    api.close();
  }
}

/** Asks the cluster for certificates, once. Throws StatusError; Unauthorized and Forbidden will not get better by waiting. */
export async function join(options: JoinOptions): Promise<ClusterInfo> {
  const { server, token, nodeName, nodeIps, folder } = options;
  const { authorityHash, secret } = parseJoinToken(token);
  const ca = await fetchAuthority(server, authorityHash);
  const user = { commonName: `system:node:${nodeName}`, organizations: ['system:nodes'] };
  const made = {
    kubelet: await createRequest({ subject: user }),
    kubeletServing: await createRequest({ subject: user, dnsNames: [nodeName], ipAddresses: [...nodeIps] }),
    kubeProxy: await createRequest({ subject: { commonName: 'system:kube-proxy' } }),
  };
  const api = new KubeApi({ host: server.hostname, port: Number(server.port || 443), ca });
  try {
    const answer = await api.request<JoinAnswer>('POST', '/naru/v1/join', {
      headers: { authorization: `Bearer ${secret}` },
      body: {
        nodeName,
        requests: Object.fromEntries(identities.map(name => [name, made[name].request])),
        addresses: nodeIps,
      },
    });
    for (const name of identities) {
      await writeSecretFile(path.join(folder, `${name}.key`), made[name].key);
      await writeSecretFile(path.join(folder, `${name}.crt`), answer.certificates[name]);
    }
    await writeSecretFile(path.join(folder, 'cluster-info.json'), `${JSON.stringify(answer.clusterInfo, null, 2)}\n`);
    // Last, because it is what tells a whole join from one that was cut short.
    await writeSecretFile(path.join(folder, 'ca.crt'), ca);
    return answer.clusterInfo;
  } finally {
    api.close();
  }
}

/** Tells the cluster that the node goes for good: its Node and its Lease are deleted. */
export async function leave(server: URL, nodeName: string, folder: string): Promise<void> {
  const read = (name: string): string => readFileSync(path.join(folder, name), 'utf8');
  const api = new KubeApi({
    host: server.hostname,
    port: Number(server.port || 443),
    ca: read('ca.crt'),
    certificate: read('kubelet.crt'),
    key: read('kubelet.key'),
  });
  try {
    await api.request('POST', '/naru/v1/leave', { body: { nodeName }, timeoutMs: 1_500 });
  } finally {
    api.close();
  }
}
