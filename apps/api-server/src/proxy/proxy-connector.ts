import type { Admission } from '../admission/plugin';
import type { Authorizer } from '../auth/authorizer';
import type { Egress } from '../egress/egress';
import { hostPort } from '@naru/foundation';
import { nodes, pods, services, type Scheme } from '@naru/api';
import { proxyUpgrade } from '@naru/streaming';
import { admitConnection } from '../kubelet/connect-admission';
import { pageNotFound } from '../objects/failures';
import type { ResourceCall } from '../rest/resource-handler';
import type { Connector, UpgradeCall } from '../rest/rest-server';
import { relayHttp, type ProxyTarget } from '../rest/reverse-proxy';
import { linkRewriters, rewriteUrl, type LinkRewrite } from './rewrite-links';
import { ProxyTargets, type Location, type ProxyTargetDeps } from './proxy-targets';

export interface ProxyConnectorDeps extends ProxyTargetDeps {
  authorizer: Authorizer;
  admission: Admission;
  scheme: Scheme;
  egress: Egress;
  /** What the api-server shows to kubelets, and trusts them by. */
  tls: { certificate: string; key: string; ca: string };
}

const proxied = new Set([services.resource, pods.resource, nodes.resource]);
const verbs: Record<string, string> = {
  GET: 'get',
  HEAD: 'get',
  POST: 'create',
  PUT: 'update',
  PATCH: 'patch',
  DELETE: 'delete',
};

/** The `proxy` subresources of Services, pods and nodes: any method, any path, and upgrades. */
export class ProxyConnector implements Connector {
  private readonly targets: ProxyTargets;

  constructor(private readonly deps: ProxyConnectorDeps) {
    this.targets = new ProxyTargets(deps);
  }

  handle(call: ResourceCall): Promise<void> | undefined {
    return isProxy(call) ? this.relay(call) : undefined;
  }

  upgrade(call: UpgradeCall): Promise<void> | undefined {
    return isProxy(call) ? this.relayUpgrade(call) : undefined;
  }

  private async relay(call: ResourceCall): Promise<void> {
    const { request, response, path } = call;
    const location = this.locate(call);
    await admitConnection(this.deps, call);
    const [own = '', query] = splitQuery(request.url ?? '/');
    if (path.rest === '' && (request.method === 'GET' || request.method === 'HEAD')) {
      // Relative links on the page are meant to stay below it.
      response.writeHead(301, { location: `${own}/${query}` }).end();
      return;
    }
    const host = String(request.headers[':authority'] ?? request.headers.host ?? '');
    const rewrite: LinkRewrite = {
      prefix: own.slice(0, own.length - path.rest.length),
      hosts: [hostPort(location.host, location.port), host],
    };
    await relayHttp(call, { ...this.targetOf(call, location), headers: { host, 'x-forwarded-uri': own } }, headers => {
      if (typeof headers['location'] === 'string') headers['location'] = rewriteUrl(headers['location'], rewrite);
      const type = String(headers['content-type'] ?? '')
        .split(';')[0]!
        .trim();
      if (type !== 'text/html') return Promise.resolve([]);
      return linkRewriters(headers['content-encoding'] as string | undefined, rewrite);
    });
  }

  private async relayUpgrade(call: UpgradeCall): Promise<void> {
    const { request, socket, head, signal } = call;
    const { secure, agent, tls, host, port, path } = this.targetOf(call, this.locate(call));
    await admitConnection(this.deps, call);
    await proxyUpgrade(
      { request, socket, head },
      { host, port, path, agent, ...(secure ? { tls: tls ?? {} } : {}) },
      { signal },
    );
  }

  private locate({ user, path, request }: ResourceCall): Location {
    const { group, version, resource, subresource, namespace, name } = path;
    if (name === '' || (resource === nodes.resource ? namespace !== '' : namespace === '')) throw pageNotFound();
    const verb = verbs[request.method ?? ''] ?? '';
    this.deps.authorizer.require({ user, verb, group, version, resource, subresource, namespace, name });
    return this.targets.locate(resource, namespace, name);
  }

  private targetOf({ path, request }: ResourceCall, { secure, host, port, isKubelet }: Location): ProxyTarget {
    const { egress, tls } = this.deps;
    const [, query] = splitQuery(request.url ?? '/');
    return {
      secure,
      host,
      port,
      path: `${path.rest || '/'}${query}`,
      agent: secure ? egress.httpsAgent : egress.httpAgent,
      // Whoever asked by https knows no more of a pod's certificate than we do.
      tls: isKubelet ? { ca: tls.ca, cert: tls.certificate, key: tls.key } : { rejectUnauthorized: false },
    };
  }
}

function isProxy({ path: { group, version, resource, subresource } }: ResourceCall): boolean {
  return group === '' && version === 'v1' && subresource === 'proxy' && proxied.has(resource);
}

/** The path, and the query with its question mark. */
function splitQuery(url: string): [string, string] {
  const at = url.indexOf('?');
  return at < 0 ? [url, ''] : [url.slice(0, at), url.slice(at)];
}
