import { isIP } from 'node:net';
import { StatusError, type Logger } from '@naru/foundation';
import { nodes as nodeType, leases as leaseType, type Node, type Scheme } from '@naru/api';
import { busNames, readRequest, type Authority } from '@naru/pki';
import { equalSecrets, type Authenticator } from '../auth/authenticator';
import { nodeOf } from '../auth/node-authorizer';
import { decodeAny } from '../objects/body';
import { badRequest, methodNotAllowed } from '../objects/failures';
import type { UserInfo } from '../objects/request';
import { sendJson, sendText } from '../rest/respond';
import { readBody } from '../rest/read-body';
import type { Route, RouteCall } from '../rest/rest-server';
import { decodeBytes } from '../storage/codec';
import type { Storage } from '../storage/storage';
import { checkClaim, isNodeName, type Reserved } from './join-names';

export interface JoinDeps {
  logger: Logger;
  authority: Authority;
  authenticator: Authenticator;
  /** The secrets of agent tokens that are valid now; read anew for each join. */
  secrets(): Promise<readonly string[]>;
  /** Handed to a node that joins; read anew for each join. */
  clusterInfo(): Promise<unknown>;
  reserved: Reserved;
  storage: Storage;
  scheme: Scheme;
  /** The identity of a request's connection, if its certificate is ours. */
  certificateUser(call: RouteCall): UserInfo | undefined;
}

interface JoinRequest {
  nodeName: string;
  addresses: string[];
  requests: { kubelet: string; kubeletServing: string; kubeProxy: string };
}

const maxBytes = 128 * 1024;
const leaseNamespace = 'kube-node-lease';

/** The doors of a machine that wants to be a node, or no longer: /naru/v1/ca, /naru/v1/join, /naru/v1/leave. */
export class JoinRoutes implements Route {
  readonly open = true;

  constructor(private readonly deps: JoinDeps) {}

  async handle(call: RouteCall): Promise<boolean> {
    switch (call.path) {
      case '/naru/v1/ca':
        if (call.request.method !== 'GET') throw methodNotAllowed();
        // Anyone may know the CA; the agent compares its hash with the one in its token.
        sendText(call.response, 200, this.deps.authority.certificate, 'application/x-pem-file');
        return true;
      case '/naru/v1/join':
        await this.join(call);
        return true;
      case '/naru/v1/leave':
        await this.leave(call);
        return true;
      default:
        return false;
    }
  }

  private async join(call: RouteCall): Promise<void> {
    if (call.request.method !== 'POST') throw methodNotAllowed();
    await this.requireSecret(call);
    const wanted = parseJoin(await decodeAny(await readBody(call.request, maxBytes)));
    const { authority, logger } = this.deps;
    const { nodeName, addresses, requests } = wanted;
    checkClaim(wanted, this.deps.reserved, this.nodes());
    const client = { commonName: `system:node:${nodeName}`, organizations: ['system:nodes'] };
    // What the requests ask for is read only to be compared: names and groups are decided here.
    await requireSubject(requests.kubelet, client.commonName);
    const reader = { usages: ['client' as const], dnsNames: [busNames.reader] };
    const [kubelet, kubeletServing, kubeProxy] = await Promise.all([
      authority.sign(requests.kubelet, { subject: client, ...reader }),
      authority.sign(requests.kubeletServing, {
        subject: client,
        usages: ['server'],
        dnsNames: [nodeName],
        ipAddresses: addresses,
      }),
      authority.sign(requests.kubeProxy, { subject: { commonName: 'system:kube-proxy' }, ...reader }),
    ]);
    logger.info({ node: nodeName, addresses }, 'node joined');
    const answer = {
      certificates: { kubelet, kubeletServing, kubeProxy },
      ca: authority.certificate,
      clusterInfo: await this.deps.clusterInfo(),
    };
    await sendJson(call.request, call.response, 200, Buffer.from(JSON.stringify(answer)));
  }

  private async leave(call: RouteCall): Promise<void> {
    if (call.request.method !== 'POST') throw methodNotAllowed();
    const user = this.deps.certificateUser(call);
    const own = user && nodeOf(user);
    if (!own) await this.requireSecret(call);
    const body = (await decodeAny(await readBody(call.request, maxBytes))) as { nodeName?: unknown } | undefined;
    const nodeName = body?.nodeName;
    if (!isNodeName(nodeName)) throw badRequest('nodeName: Invalid value');
    if (own && own !== nodeName)
      throw new StatusError('Forbidden', `node "${own}" is not allowed to remove node "${nodeName}"`);
    if (own) this.requireUnmarked(own);
    await this.remove(nodeType.group, nodeType.resource, '', nodeName);
    await this.remove(leaseType.group, leaseType.resource, leaseNamespace, nodeName);
    this.deps.logger.info({ node: nodeName }, 'node left');
    await sendJson(
      call.request,
      call.response,
      200,
      Buffer.from('{"kind":"Status","apiVersion":"v1","status":"Success"}'),
    );
  }

  /** A node that others have marked would come back unmarked: to let it go is theirs. */
  private requireUnmarked(name: string): void {
    const { unschedulable, taints = [] } = this.nodes().find(({ metadata }) => metadata?.name === name)?.spec ?? {};
    const marks = taints.filter(({ key }) => !key.startsWith('node.kubernetes.io/'));
    if (!unschedulable && marks.length === 0) return;
    const words = `node "${name}" is cordoned or tainted: who did so may delete its Node`;
    throw new StatusError('Forbidden', words);
  }

  private nodes(): Node[] {
    const { storage, scheme } = this.deps;
    const definition = scheme.byResource(nodeType.group, 'v1', nodeType.resource)!;
    return [...storage.cache(definition).select({ namespace: '' })].map(({ bytes }) => decodeBytes<Node>(bytes));
  }

  private async remove(group: string, resource: string, namespace: string, name: string): Promise<void> {
    const { storage, scheme } = this.deps;
    const definition = scheme.byResource(group, 'v1', resource)!;
    for (;;) {
      const entry = storage.cache(definition).get(namespace, name);
      if (!entry) return;
      if (await storage.commit({ definition, namespace, name, object: undefined, expected: entry.revision })) return;
    }
  }

  private async requireSecret({ request }: RouteCall): Promise<void> {
    const given = /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? '')?.[1];
    const secrets = await this.deps.secrets();
    // All are compared, so that the time taken does not tell which one was near.
    const matches = secrets.filter(secret => given !== undefined && equalSecrets(secret, given));
    if (matches.length === 0) throw new StatusError('Unauthorized', 'the join token is not valid');
  }
}

function parseJoin(value: unknown): JoinRequest {
  const { nodeName, addresses, requests } = (value ?? {}) as Partial<JoinRequest>;
  if (!isNodeName(nodeName)) throw badRequest('nodeName: Invalid value: must be a lower case RFC 1123 subdomain');
  if (!Array.isArray(addresses) || addresses.length > 16 || addresses.some(address => isIP(String(address)) === 0))
    throw badRequest('addresses: Invalid value: must be a list of at most 16 IP addresses');
  for (const name of ['kubelet', 'kubeletServing', 'kubeProxy'] as const)
    if (typeof requests?.[name] !== 'string') throw badRequest(`requests.${name}: Required value`);
  return { nodeName, addresses: addresses.map(String), requests: requests as JoinRequest['requests'] };
}

async function requireSubject(request: string, commonName: string): Promise<void> {
  const { subject } = await readRequest(request);
  if (subject.commonName !== commonName)
    throw badRequest(`requests.kubelet: Invalid value: "${subject.commonName}": must be for ${commonName}`);
}
