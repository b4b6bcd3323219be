import { connect, EventRecorder, LeaderElector } from '@naru/client';
import { createMetrics, runProcess, serveHealth } from '@naru/foundation';
import { defaultConfiguration, loadConfiguration } from './config/scheduler-configuration';
import { Extenders } from './extenders/extenders';
import { HttpExtender } from './extenders/http-extender';
import { schedulerFlags } from './flags';
import { candidateIdentity } from './identity';
import { createSchedulerMetrics, registerSchedulerGauges } from './metrics';
import { plugins } from './plugins/registry';
import { Scheduler } from './scheduler';
import { createInformers, watchCluster } from './watch';

runProcess('scheduler', schedulerFlags, async (flags, logger, { signal, onStop }) => {
  const connection = await connect('scheduler', flags, logger);
  onStop('connection', () => connection.close());
  const { client } = connection;
  const { config } = flags;
  const configuration = config ? loadConfiguration(config, plugins) : defaultConfiguration(plugins);
  const extenders = new Extenders(
    configuration.extenders.map(extender => new HttpExtender(extender)),
    logger,
  );
  onStop('extenders', () => extenders.close());
  const metrics = createMetrics();
  const informers = createInformers(connection.informers, { wholePods: configuration.extenders.length > 0 });
  const scheduler = new Scheduler({
    client,
    listers: informers.listers,
    storage: informers.storage,
    devices: informers.devices,
    namespaceLabels: informers.namespaceLabels,
    recorder: component => new EventRecorder({ client, logger, component, countsOnly: true }),
    profiles: configuration.profiles,
    extenders,
    logger,
    metrics: createSchedulerMetrics(metrics),
    initialBackoffMs: configuration.initialBackoffMs,
    maxBackoffMs: configuration.maxBackoffMs,
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
  if (!(flags['leader-elect'] ?? configuration.leaderElect)) return scheduler.run(signal);
  const identity = candidateIdentity(health.port);
  const elector = new LeaderElector({
    client,
    logger,
    name: configuration.leaseName,
    namespace: configuration.leaseNamespace,
    identity,
  });
  await elector.run(term => scheduler.run(term), signal);
  if (!signal.aborted) throw new Error('leadership was lost');
});
