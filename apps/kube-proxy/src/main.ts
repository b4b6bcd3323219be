import { connect, EventRecorder } from '@naru/client';
import { createMetrics, runProcess, serveHealth, systemClock } from '@naru/foundation';
import { flags } from './flags';
import { followNodes } from './follow-nodes';
import { describeHealth, followsChanges, healthChecks } from './health';
import { HealthCheckServers } from './health-check/health-check-servers';
import { AddressAnnouncer } from './load-balancer/address-announcer';
import { createProxyMetrics } from './metrics';
import { createPolicyMetrics } from './network-policy/metrics';
import { PolicyEnforcer } from './network-policy/policy-enforcer';
import { readOptions } from './options';
import { PodNetwork } from './pod-network/pod-network';
import { isIpv6 } from './desired/ip-family';
import { cleanupAll, cleanupOtherModes, requireFamilies } from './prepare';
import { ServiceProxy } from './service-proxy';
import { Shells } from './shells';

runProcess('kube-proxy', flags, async (given, logger, { signal, onStop }) => {
  const options = readOptions(given);
  // The first shell starts before there is much to duplicate.
  const shells = new Shells();
  const { run } = shells;
  onStop('shells', () => shells.close());
  const clock = systemClock;
  if (given.cleanup) {
    await cleanupAll(options, run, logger);
    process.exit(0);
  }
  const [nodeIp = ''] = options.nodeIps;
  const nodeFamily = isIpv6(nodeIp) ? 'IPv6' : 'IPv4';
  const { mode, families } = await requireFamilies(options.mode, options.rules, { nodeFamily, run, logger });
  await cleanupOtherModes(mode, run, logger);
  const connection = await connect('kube-proxy', given, logger);
  onStop('connection', () => connection.close());
  const { informers } = connection;
  const { nodeName, fullSyncPeriodMs } = options;
  const registry = createMetrics();
  const recorder = new EventRecorder({ client: connection.client, logger, component: 'kube-proxy', host: nodeName });
  const healthCheckServers = new HealthCheckServers({
    logger,
    isHealthy: () => followsChanges(proxy, clock),
    onProblem: ({ service }, message) =>
      recorder.record(service, { type: 'Warning', reason: 'FailedToStartServiceHealthcheck', message }),
  });
  const announcer = options.loadBalancerPool.isEmpty
    ? undefined
    : new AddressAnnouncer({
        nodeName,
        nodeIp,
        pool: options.loadBalancerPool,
        run,
        clock,
        logger,
        fullSyncPeriodMs,
      });
  const proxy: ServiceProxy = new ServiceProxy({
    followers: announcer ? [healthCheckServers, announcer] : [healthCheckServers],
    nodeName,
    families: families.map(config => ({ family: config.family, rules: mode.build({ run, config, logger }) })),
    informers,
    run,
    metrics: createProxyMetrics(registry),
    clock,
    logger,
    minSyncPeriodMs: options.minSyncPeriodMs,
    fullSyncPeriodMs,
  });
  const network = options.podNetwork
    ? new PodNetwork({ config: options.podNetwork, run, clock, logger, fullSyncPeriodMs })
    : undefined;
  // Without rules there is no enforcing.
  const policies =
    given['network-policy'] && options.mode !== 'userspace'
      ? new PolicyEnforcer({
          nodeName,
          families: families.map(({ family }) => family),
          network: options.podNetwork,
          runtimeEndpoint: given['container-runtime-endpoint'],
          run,
          informers,
          metrics: createPolicyMetrics(registry),
          clock,
          logger,
          minSyncPeriodMs: options.minSyncPeriodMs,
          fullSyncPeriodMs,
        })
      : undefined;
  followNodes({ informers, nodeName, proxy, network, policies, announcer });
  const health = await serveHealth({
    address: given['health-address'],
    metrics: registry,
    ...healthChecks(proxy, network, clock),
    describe: () => describeHealth(proxy, clock),
  });
  onStop('health', () => health.close());
  onStop('rules', () => proxy.stop());
  onStop('pod network', () => network?.stop());
  onStop('network policies', () => policies?.stop());
  await informers.start(signal);
  network?.start();
  policies?.start();
  proxy.start();
  logger.info(
    {
      mode: mode.name,
      families: families.map(({ family }) => family),
      podNetwork: options.podNetwork?.backend ?? 'none',
    },
    'following Services and Nodes',
  );
});
