import { connect, registerWorkqueueMetrics } from '@naru/client';
import { createMetrics, runProcess, serveHealth } from '@naru/foundation';
import { parseDuration } from './config/duration';
import { kubeletFlags } from './config/flags';
import { effectiveConfiguration } from './config/kubelet-configuration';
import { Kubelet } from './kubelet';

runProcess('kubelet', kubeletFlags, async (flags, logger, lifecycle) => {
  const { configuration, idle } = effectiveConfiguration(flags);
  if (idle.length > 0) logger.warn({ fields: idle }, 'fields of the configuration have no effect here');
  const metrics = createMetrics();
  registerWorkqueueMetrics(metrics);
  let isReady = (): boolean => false;
  const health = await serveHealth({
    address: flags['health-address'] ?? `${configuration.healthzBindAddress}:${configuration.healthzPort}`,
    metrics,
    ready: [
      {
        name: 'node',
        check: () => {
          if (!isReady()) throw new Error('the node is not ready');
        },
      },
    ],
  });
  lifecycle.onStop('health', () => health.close());
  const connection = await connect('kubelet', flags, logger);
  lifecycle.onStop('connection', () => connection.close());
  const { client, informers } = connection;
  const kubelet = await Kubelet.create({
    flags,
    configuration,
    client,
    informers,
    logger,
    metrics,
    signal: lifecycle.signal,
  });
  isReady = () => kubelet.reporter.isReady;
  lifecycle.onStop('kubelet', () => kubelet.stop());
  const graceMs = parseDuration(configuration.shutdownGracePeriod);
  lifecycle.onStop('pods', () => kubelet.shutDown(), graceMs);
  await kubelet.start();
  logger.info({ node: flags['node-name'], port: kubelet.server.port }, 'kubelet started');
});
