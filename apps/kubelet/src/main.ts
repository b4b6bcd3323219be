import { connect, registerWorkqueueMetrics } from '@naru/client';
import { createMetrics, runProcess, serveHealth } from '@naru/foundation';
import { kubeletFlags } from './config';
import { Kubelet } from './kubelet';

runProcess('kubelet', kubeletFlags, async (flags, logger, lifecycle) => {
  const metrics = createMetrics();
  registerWorkqueueMetrics(metrics);
  let isReady = (): boolean => false;
  const health = await serveHealth({
    address: flags['health-address'],
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
  const connection = connect('kubelet', flags, logger);
  lifecycle.onStop('connection', () => connection.close());
  const { client, informers } = connection;
  const kubelet = await Kubelet.create({ flags, client, informers, logger, metrics, signal: lifecycle.signal });
  isReady = () => kubelet.reporter.isReady;
  lifecycle.onStop('kubelet', () => kubelet.stop());
  await kubelet.start();
  logger.info({ node: flags['node-name'], port: kubelet.server.port }, 'kubelet started');
});
