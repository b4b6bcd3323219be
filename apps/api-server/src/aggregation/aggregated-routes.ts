import { StatusError } from '@naru/foundation';
import { proxyUpgrade } from '@naru/streaming';
import type { Authorizer } from '../auth/authorizer';
import type { Egress } from '../egress/egress';
import type { UserInfo } from '../objects/request';
import { verbOf, type ResourceCall } from '../rest/resource-handler';
import { sendText } from '../rest/respond';
import type { Route, RouteCall, UpgradeCall } from '../rest/rest-server';
import { relayHttp, type ProxyTarget } from '../rest/reverse-proxy';
import type { Aggregator, RemoteVersion } from './aggregator';
import { remoteUserHeaders } from './front-proxy';

export interface AggregatedRoutesDeps {
  aggregator: Aggregator;
  authorizer: Authorizer;
  egress: Egress;
}

const versionPath = /^(?:\/openapi\/v3)?\/apis\/([^/]+)\/([^/]+)\/?$/;

/** Hands requests for the groups and versions of extension servers on to these, with the word of who is asking. */
export class AggregatedRoutes implements Route {
  constructor(private readonly deps: AggregatedRoutesDeps) {}

  /** Their resources. */
  connect(call: ResourceCall): Promise<void> | undefined {
    const { group, version } = call.path;
    const remote = this.deps.aggregator.find(group, version);
    if (!remote) return undefined;
    this.authorize(call);
    return this.relay(call, remote);
  }

  upgrade(call: UpgradeCall): Promise<void> | undefined {
    const remote = this.deps.aggregator.find(call.path.group, call.path.version);
    if (!remote) return undefined;
    this.authorize(call);
    return this.relayUpgrade(call, remote);
  }

  /** Their discovery and schemas. */
  async handle(call: RouteCall): Promise<boolean> {
    const [, group = '', version = ''] = versionPath.exec(call.path) ?? [];
    const remote = this.deps.aggregator.find(group, version);
    if (!remote) return false;
    await this.relay({ ...call, signal: signalOf(call) }, remote);
    return true;
  }

  private authorize({ user, path, request, query }: ResourceCall): void {
    const { group, version, resource, subresource, namespace, name } = path;
    const verb = verbOf(request.method, path, query);
    this.deps.authorizer.require({ user, verb, group, version, resource, subresource, namespace, name });
  }

  private async relay(
    call: Pick<ResourceCall, 'request' | 'response' | 'user' | 'signal'>,
    remote: RemoteVersion,
  ): Promise<void> {
    const target = this.targetOf(call, remote);
    // Clients know these words: they are upstream's, and no Status.
    if (!target) return sendText(call.response, 503, 'service unavailable\n');
    await relayHttp(call, target);
  }

  private async relayUpgrade(call: UpgradeCall, remote: RemoteVersion): Promise<void> {
    const target = this.targetOf(call, remote);
    if (!target) throw new StatusError('ServiceUnavailable', 'service unavailable');
    const { host, port, path, agent, tls = {}, headers = {} } = target;
    await proxyUpgrade(call, { host, port, path, agent, tls, headers: headers as never }, { signal: call.signal });
  }

  private targetOf(
    { request, user }: { request: ResourceCall['request']; user: UserInfo },
    remote: RemoteVersion,
  ): ProxyTarget | undefined {
    const found = remote.isAvailable ? this.deps.aggregator.target(remote) : undefined;
    if (!found) return undefined;
    const { host, port, tls } = found;
    return {
      secure: true,
      host,
      port,
      path: request.url ?? '/',
      agent: found.agent ?? this.deps.egress.httpsAgent,
      tls,
      headers: { host: tls.servername, ...remoteUserHeaders(request.headers, user) },
    };
  }
}

function signalOf({ response }: RouteCall): AbortSignal {
  const controller = new AbortController();
  response.once('close', () => controller.abort());
  return controller.signal;
}
