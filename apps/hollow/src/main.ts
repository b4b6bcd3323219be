import { parseTaint } from '@naru/api';
import { connect, registerWorkqueueMetrics } from '@naru/client';
import { UsageError, createMetrics, kubernetesVersion, runProcess, serveHealth, systemClock } from '@naru/foundation';
import { hollowFlags } from './flags';
import { HollowNodes } from './hollow-nodes';
import { HollowPods } from './hollow-pods';
import { maxNodes } from './node-template';

runProcess('hollow', hollowFlags, async (flags, logger, { signal, onStop }) => {
  const { nodes: count, zones } = flags;
  if (!Number.isInteger(count) || count < 0 || count > maxNodes)
    throw new UsageError(`flag --nodes: expected a number from 0 to ${maxNodes}`);
  if (!Number.isInteger(zones) || zones < 1) throw new UsageError('flag --zones: expected a number from 1');
  const connection = await connect('hollow', flags, logger);
  onStop('connection', () => connection.close());
  const deps = { client: connection.client, informers: connection.informers, clock: systemClock, logger };
  const pods = new HollowPods({
    ...deps,
    prefix: flags['node-prefix'],
    life: { startMs: flags['pod-start-ms'], jobMs: flags['job-ms'] },
  });
  onStop('pods', () => pods.stop());
  const nodes = new HollowNodes({
    ...deps,
    count,
    leaseDurationSeconds: flags['lease-duration-seconds'],
    template: {
      prefix: flags['node-prefix'],
      cpu: flags.cpu,
      memory: flags.memory,
      maxPods: flags['max-pods'],
      zones,
      taints: flags['register-with-taints'].filter(Boolean).map(parseTaint),
      version: kubernetesVersion,
    },
  });
  onStop('nodes', () => nodes.stop());
  let synced = false;
  const ready = {
    name: 'informers-synced',
    check: () => {
      if (!synced) throw new Error('the first lists are not there yet');
    },
  };
  const registry = createMetrics();
  registerWorkqueueMetrics(registry);
  const health = await serveHealth({ address: flags['health-address'], metrics: registry, ready: [ready] });
  onStop('health', () => health.close());
  await connection.informers.start(signal);
  synced = true;
  nodes.start();
  logger.info({ nodes: count }, 'being nodes');
});
