import { connect, registerWorkqueueMetrics } from '@naru/client';
import { createMetrics, runProcess, serveHealth } from '@naru/foundation';
import { kubeletFlags } from './config';
import { Kubelet } from './kubelet';

runProcess('kubelet', kubeletFlags, async (flags, logger, lifecycle) => {
  const metrics = createMetrics();
  registerWorkqueueMetrics(metrics);
  let kubelet: Kubelet | undefined;
  const health = await serveHealth({
    address: flags['health-address'],
    metrics,
    ready: [
      {
        name: 'node',
        check: () => {
          if (!kubelet?.reporter.isReady) throw new Error('the node is not ready');
        },
      },
    ],
  });
  lifecycle.onStop('health', () => health.close());
  const connection = connect('kubelet', flags, logger);
  lifecycle.onStop('connection', () => connection.close());
  const { client, informers } = connection;
  kubelet = await Kubelet.create({ flags, client, informers, logger, metrics, signal: lifecycle.signal });
  const running = kubelet;
  lifecycle.onStop('kubelet', () => running.stop());
  await running.start();
  logger.info({ node: flags['node-name'], port: running.server.port }, 'kubelet started');
});
