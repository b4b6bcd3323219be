import { setMaxListeners } from 'node:events';
import { connect, EventRecorder, LeaderElector } from '@naru/client';
import { createMetrics, runProcess, serveHealth } from '@naru/foundation';
import { schedulerFlags } from './flags';
import { candidateIdentity } from './identity';
import { createSchedulerMetrics, registerSchedulerGauges } from './metrics';
import { plugins } from './plugins/registry';
import { Scheduler } from './scheduler';
import { createInformers, watchCluster } from './watch';

runProcess('scheduler', schedulerFlags, async (flags, logger, { signal, onStop }) => {
  // Every informer and every wait listens.
  setMaxListeners(0, signal);
  const connection = connect('scheduler', flags, logger);
  onStop('connection', () => connection.close());
  const { client } = connection;
  const metrics = createMetrics();
  const informers = createInformers(connection.informers);
  const scheduler = new Scheduler({
    client,
    listers: informers.listers,
    namespaceLabels: informers.namespaceLabels,
    recorder: new EventRecorder({ client, logger, component: 'default-scheduler' }),
    plugins,
    logger,
    metrics: createSchedulerMetrics(metrics),
    schedulerName: flags['scheduler-name'],
    percentageOfNodesToScore: flags['percentage-of-nodes-to-score'],
  });
  watchCluster(informers, scheduler);
  registerSchedulerGauges(metrics, scheduler);
  let synced = false;
  const ready = {
    name: 'informers-synced',
    check: () => {
      if (!synced) throw new Error('the first lists are not there yet');
    },
  };
  const health = await serveHealth({ address: flags['health-address'], metrics, ready: [ready] });
  onStop('health', () => health.close());
  await connection.informers.start(signal);
  synced = true;
  logger.info({ nodes: scheduler.cache.nodeCount, pods: scheduler.cache.podCount }, 'ready to place pods');
  if (!flags['leader-elect']) return scheduler.run(signal);
  const identity = candidateIdentity(health.port);
  const elector = new LeaderElector({ client, logger, name: 'kube-scheduler', identity });
  await elector.run(term => scheduler.run(term), signal);
  if (!signal.aborted) throw new Error('leadership was lost');
});
