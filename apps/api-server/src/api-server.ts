import { isIPv6 } from 'node:net';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { createMetrics, type Clock, type HealthCheck, type Logger } from '@naru/foundation';
import { Scheme, apiServices, definitions, hasSubresource } from '@naru/api';
import type { Authority } from '@naru/pki';
import type { StoreDriver } from '@naru/store';
import { Admission } from './admission/plugin';
import { AggregatedRoutes } from './aggregation/aggregated-routes';
import { Aggregator } from './aggregation/aggregator';
import { authenticationConfigMap, createFrontProxy, type FrontProxy } from './aggregation/front-proxy';
import { admissionPlugins, type AdmissionConfig } from './admission/plugins';
import { Authenticator } from './auth/authenticator';
import { Authorizer } from './auth/authorizer';
import { NodeAuthorizer } from './auth/node-authorizer';
import { privileged, publicHealth } from './auth/privileged';
import { Rbac } from './auth/rbac';
import { ServiceAccountTokens, serviceAccountIssuer } from './auth/service-account-tokens';
import { Bootstrap } from './bootstrap/bootstrap';
import { ServerPresence } from './bootstrap/server-presence';
import { CustomResources, definitionHooks } from './extensions/custom-resources';
import { LocalApiServices } from './extensions/local-api-services';
import { serviceResolver } from './webhooks/service-resolver';
import { Egress } from './egress/egress';
import { FlowControl } from './flowcontrol/flow-control';
import { FlowSchemaStatus } from './flowcontrol/flow-schema-status';
import { FlowControlMetrics } from './flowcontrol/flow-control-metrics';
import { ObjectsDoor } from './grpc/objects-door';
import { namesOf } from './join/join-names';
import { JoinRoutes } from './join/join-routes';
import { KubeletConnector } from './kubelet/kubelet-connector';
import { certificateRequestHooks } from './objects/certificate-request-hooks';
import { KeyLocks } from './objects/key-locks';
import { Pipeline } from './objects/pipeline';
import type { UserInfo } from './objects/request';
import { ProxyConnector } from './proxy/proxy-connector';
import { DiscoveryRoutes } from './rest/discovery-routes';
import { HealthRoutes } from './rest/health-routes';
import { RequestMetrics } from './rest/metrics';
import { ResourceHandler } from './rest/resource-handler';
import { sendJson, sendText } from './rest/respond';
import { RestServer, type ConnectionLimits, type Connector, type Route } from './rest/rest-server';
import { AddressClaims } from './services/address-claims';
import { ServiceAddresses, type ServiceAddressOptions } from './services/service-addresses';
import { SpaceMonitor } from './storage/space-monitor';
import { Storage, type CommittedEvent } from './storage/storage';
import { StoreMetrics } from './storage/store-metrics';
import { subresources } from './subresources/registry';
import { versionInfo } from './version';
import { virtualKinds } from './virtual/registry';
import { reviewKinds } from './virtual/reviews';

export interface PemPair {
  certificate: string;
  key: string;
}

export interface ApiServerDeps {
  logger: Logger;
  clock: Clock;
  store: StoreDriver;
  ca: string;
  authority: Authority;
  serving: PemPair;
  client: PemPair;
  /** PEM. */
  serviceAccountKey: string;
  staticTokens: ReadonlyMap<string, UserInfo>;
  joinSecrets(): Promise<readonly string[]>;
  clusterInfo(): Promise<unknown>;
  services: ServiceAddressOptions;
  admission: AdmissionConfig;
  /** Requests that are served at the same time; shared out by priority. */
  maxConcurrentRequests?: number | undefined;
  /** What pods and discovery are told. */
  advertise: { address: string; port: number };
  /** How long Events are kept; absent: for ever. */
  eventTtlSeconds?: number;
  /** The store can no longer be followed: only a new start helps. */
  onLost?(error: Error): void;
  /** Told of every commit, in order; must not block. */
  publish?(events: readonly CommittedEvent[]): void;
  /** Further checks of /readyz. */
  ready?: readonly HealthCheck[];
  /** How long clients may take, where it is not as usual. */
  limits?: Partial<ConnectionLimits>;
  /** Requests of one kind, reading or changing, that are looked at at all at the same time. */
  maxInflight?: number;
  /** How extension servers know this one; absent: a pair that lasts as long as this process. */
  frontProxy?: FrontProxy;
}

/** An api-server, built and not listening yet. */
export class ApiServer {
  private constructor(
    readonly storage: Storage,
    readonly pipeline: Pipeline,
    private readonly rest: RestServer,
    private readonly door: ObjectsDoor,
    private readonly kubelets: KubeletConnector,
    private readonly egress: Egress,
    private readonly bootstrap: Bootstrap,
    private readonly customResources: CustomResources,
    private readonly localApiServices: LocalApiServices,
    private readonly aggregator: Aggregator,
    private readonly space: SpaceMonitor,
    private readonly flowSchemaStatus: FlowSchemaStatus,
    /** Where there may be other servers. */
    private readonly presence: ServerPresence | undefined,
  ) {}

  static async build(deps: ApiServerDeps): Promise<ApiServer> {
    const { logger, clock, store, ca } = deps;
    const scheme = new Scheme(definitions);
    const registry = createMetrics();
    const storage = new Storage(store, scheme, {
      eventTtlSeconds: deps.eventTtlSeconds,
      onLost: deps.onLost,
      metrics: new StoreMetrics(registry),
    });
    await storage.start();
    const cache = (group: string, resource: string) => storage.cache(scheme.byResource(group, 'v1', resource)!);
    const rbacGroup = 'rbac.authorization.k8s.io';
    const tokens = await ServiceAccountTokens.load(deps.serviceAccountKey);
    const authenticator = new Authenticator({
      clock,
      staticTokens: deps.staticTokens,
      serviceAccountTokens: tokens,
      caches: {
        serviceAccounts: cache('', 'serviceaccounts'),
        pods: cache('', 'pods'),
        nodes: cache('', 'nodes'),
        secrets: cache('', 'secrets'),
      },
    });
    const rbac = new Rbac({
      roles: cache(rbacGroup, 'roles'),
      clusterRoles: cache(rbacGroup, 'clusterroles'),
      roleBindings: cache(rbacGroup, 'rolebindings'),
      clusterRoleBindings: cache(rbacGroup, 'clusterrolebindings'),
    });
    const nodeAuthorizer = new NodeAuthorizer({
      pods: cache('', 'pods'),
      claims: cache('', 'persistentvolumeclaims'),
      volumes: cache('', 'persistentvolumes'),
    });
    const authorizer = new Authorizer([privileged, publicHealth, nodeAuthorizer, rbac]);
    const services = cache('', 'services');
    const claims = new AddressClaims({
      storage,
      services: services.definition,
      definition: cache('networking.k8s.io', 'ipaddresses').definition,
      clock,
    });
    const addresses = new ServiceAddresses(deps.services, claims);
    const ranges = cache('networking.k8s.io', 'servicecidrs');
    addresses.followRanges(ranges);
    ranges.listen({ onEvent: () => addresses.followRanges(ranges) });
    addresses.load(services, (service, value) =>
      logger.error({ service, value }, 'service holds what another one holds'),
    );
    services.listen({ onEvent: event => addresses.follow(event) });
    const egress = new Egress({ nodes: cache('', 'nodes'), tls: { ...deps.client, ca } });
    const resolveService = serviceResolver(
      { services: cache('', 'services'), endpointSlices: cache('discovery.k8s.io', 'endpointslices') },
      egress.httpsAgent,
    );
    const webhookGroup = 'admissionregistration.k8s.io';
    const pluginDeps = {
      authorizer,
      rbac,
      resolve: resolveService,
      caches: {
        mutatingWebhooks: cache(webhookGroup, 'mutatingwebhookconfigurations'),
        validatingWebhooks: cache(webhookGroup, 'validatingwebhookconfigurations'),
        mutatingPolicies: cache(webhookGroup, 'mutatingadmissionpolicies'),
        mutatingPolicyBindings: cache(webhookGroup, 'mutatingadmissionpolicybindings'),
        validatingPolicies: cache(webhookGroup, 'validatingadmissionpolicies'),
        validatingPolicyBindings: cache(webhookGroup, 'validatingadmissionpolicybindings'),
      },
    };
    const admission = new Admission(admissionPlugins(deps.admission, pluginDeps), { storage, scheme, logger, clock });
    const space = new SpaceMonitor({ usage: () => storage.usage(), clock, logger, registry });
    const pipeline = new Pipeline({
      storage,
      storeWarning: () => space.warning,
      scheme,
      admission,
      locks: new KeyLocks(),
      hooks: new Map(
        [addresses, definitionHooks(clock), certificateRequestHooks].map(hooks => [hooks.resource, hooks]),
      ),
      clock,
      logger,
      authorizer,
      virtual: new Map(
        [...virtualKinds, ...reviewKinds({ authenticator, authorizer, rbac })].map(kind => [kind.resource, kind]),
      ),
      subresources: new Map(subresources(tokens).map(subresource => [subresource.name, subresource])),
    });
    if (deps.publish) storage.onCommit(deps.publish);
    const localApiServices = new LocalApiServices({ storage, scheme, clock, logger });
    const customResources = new CustomResources({
      storage,
      scheme,
      objects: pipeline.deps,
      resolveService,
      clock,
      logger,
      onChange: () => localApiServices.sync(),
    });
    await customResources.start();
    await localApiServices.start();
    const metrics = new RequestMetrics({
      registry,
      isKnown: ({ group, version, resource, subresource }) => {
        const definition = scheme.byResource(group, version, resource);
        return definition !== undefined && (subresource === '' || hasSubresource(definition, subresource));
      },
      objectCounts: () => storage.objectCounts(),
    });
    const flowGroup = 'flowcontrol.apiserver.k8s.io';
    const flowControl: FlowControl = new FlowControl({
      flowSchemas: cache(flowGroup, 'flowschemas'),
      priorityLevels: cache(flowGroup, 'prioritylevelconfigurations'),
      metrics: new FlowControlMetrics(registry, () => flowControl.all),
      totalSeats: deps.maxConcurrentRequests,
    });
    const resources = new ResourceHandler({
      scheme,
      pipeline,
      clock,
      onWatch: (resource, change) => metrics.watch(resource, change),
    });
    const tls = { ...deps.client, ca };
    const kubelets = new KubeletConnector({ storage, scheme, authorizer, admission, tls });
    const proxies = new ProxyConnector({
      authorizer,
      admission,
      scheme,
      egress,
      tls,
      caches: {
        services: cache('', 'services'),
        endpointSlices: cache('discovery.k8s.io', 'endpointslices'),
        pods: cache('', 'pods'),
        nodes: cache('', 'nodes'),
      },
    });
    const frontProxy = deps.frontProxy ?? (await createFrontProxy());
    const apiServiceCache = cache(apiServices.group, apiServices.resource);
    const aggregator = new Aggregator({
      storage,
      definition: apiServiceCache.definition,
      caches: { services: cache('', 'services'), endpointSlices: cache('discovery.k8s.io', 'endpointslices') },
      resolve: resolveService,
      frontProxy,
      clock,
      logger,
    });
    aggregator.start();
    const aggregated = new AggregatedRoutes({ aggregator, authorizer, egress });
    const connector: Connector = {
      handle: call => aggregated.connect(call) ?? kubelets.handle(call) ?? proxies.handle(call),
      upgrade: call => aggregated.upgrade(call) ?? kubelets.upgrade(call) ?? proxies.upgrade(call),
    };
    let ready = false;
    const health = new HealthRoutes({
      live: [
        { name: 'ping', check: () => undefined },
        { name: 'store', check: () => storage.check() },
      ],
      ready: [
        ...(deps.ready ?? []),
        { name: 'etcd-readiness', check: () => storage.fresh('') },
        {
          name: 'poststarthook/bootstrap',
          check: () => {
            if (!ready) throw new Error('not finished');
          },
        },
      ],
    });
    const { address, port } = deps.advertise;
    const discovery = new DiscoveryRoutes({
      scheme,
      remotes: aggregator,
      serverAddress: isIPv6(address) ? `[${address}]:${port}` : `${address}:${port}`,
    });
    const own = namesOf(deps.serving.certificate);
    const join = new JoinRoutes({
      reserved: {
        serviceRanges: addresses.cluster.own,
        names: own.names,
        addresses: [address, ...own.addresses],
      },
      logger,
      authority: deps.authority,
      authenticator,
      secrets: deps.joinSecrets,
      clusterInfo: deps.clusterInfo,
      storage,
      scheme,
      certificateUser: ({ request }) => {
        const socket = request.socket as TLSSocket;
        return socket.authorized ? authenticator.byCertificate(socket.getPeerCertificate()) : undefined;
      },
    });
    const rest = new RestServer({
      logger,
      tls: { ...deps.serving, ca },
      authenticator,
      authorizer,
      resources,
      routes: [join, aggregated, ...plainRoutes(health, discovery, registry, tokens)],
      connector,
      metrics,
      flowControl,
      ...(deps.limits ? { limits: deps.limits } : {}),
      ...(deps.maxInflight ? { maxInflight: deps.maxInflight } : {}),
    });
    const door = new ObjectsDoor({ logger, scheme, pipeline, authenticator, tls: { ...deps.serving, ca } });
    const bootstrap = new Bootstrap({
      storage,
      scheme,
      clock,
      logger,
      addresses,
      claims,
      advertise: deps.advertise,
      authentication: authenticationConfigMap(ca, frontProxy),
    });
    const presence = storage.shared
      ? new ServerPresence({
          storage,
          clock,
          logger,
          address: deps.advertise.address,
          publish: servers => bootstrap.publishServers(servers),
        })
      : undefined;
    const server = new ApiServer(
      storage,
      pipeline,
      rest,
      door,
      kubelets,
      egress,
      bootstrap,
      customResources,
      localApiServices,
      aggregator,
      space,
      new FlowSchemaStatus({ storage, scheme, clock, logger }),
      presence,
    );
    server.onReady = () => (ready = true);
    return server;
  }

  private onReady: () => void = () => undefined;

  /** Writes what every cluster has, then opens both doors. */
  async listen(rest: string, grpc: string): Promise<{ rest: AddressInfo; grpcPort: number }> {
    await this.bootstrap.run();
    this.space.start();
    this.flowSchemaStatus.start();
    this.onReady();
    const grpcPort = await this.door.listen(grpc);
    const address = await this.rest.listen(rest);
    await this.presence?.start();
    return { rest: address, grpcPort };
  }

  async close(): Promise<void> {
    this.space.stop();
    await this.presence?.stop();
    await Promise.all([this.rest.close(), this.door.close()]);
    this.kubelets.close();
    this.egress.close();
    this.customResources.close();
    await this.customResources.idle();
    this.localApiServices.close();
    this.aggregator.close();
    await this.localApiServices.idle();
    await this.flowSchemaStatus.close();
    await this.storage.close();
  }
}

function plainRoutes(
  health: HealthRoutes,
  discovery: DiscoveryRoutes,
  registry: ReturnType<typeof createMetrics>,
  tokens: ServiceAccountTokens,
): Route[] {
  const answers: Record<string, () => Promise<unknown>> = {
    '/version': () => Promise.resolve(versionInfo),
    '/openid/v1/jwks': () => tokens.jwks(),
    '/.well-known/openid-configuration': () =>
      Promise.resolve({
        issuer: serviceAccountIssuer,
        jwks_uri: `${serviceAccountIssuer}/openid/v1/jwks`,
        response_types_supported: ['id_token'],
        subject_types_supported: ['public'],
        id_token_signing_alg_values_supported: ['ES256'],
      }),
    '/': () =>
      Promise.resolve({
        paths: ['/api', '/apis', '/healthz', '/livez', '/metrics', '/openapi/v2', '/openapi/v3', '/readyz', '/version'],
      }),
  };
  return [
    { handle: call => health.handle(call.path, call.query, call.response) },
    { handle: call => discovery.handle(call.path, call.query, call.request, call.response) },
    {
      async handle({ path, request, response }) {
        if (path === '/metrics') {
          sendText(response, 200, await registry.metrics(), registry.contentType);
          return true;
        }
        const answer = answers[path === '/' ? path : path.replace(/\/$/, '')];
        if (!answer) return false;
        await sendJson(request, response, 200, Buffer.from(JSON.stringify(await answer())));
        return true;
      },
    },
  ];
}
