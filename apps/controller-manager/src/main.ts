import { setMaxListeners } from 'node:events';
import { connect, EventRecorder, LeaderElector, registerWorkqueueMetrics } from '@naru/client';
import { createMetrics, runProcess, serveHealth, systemClock } from '@naru/foundation';
import { managerFlags, toConfig } from './flags';
import { ClusterInformers } from './framework/informers';
import { candidateIdentity } from './identity';
import { createRestPaths } from './rest-paths';
import { runControllers } from './framework/run-controllers';
import { selectControllers } from './framework/selection';
import { controllers } from './registry';

runProcess('controller-manager', managerFlags, async (flags, logger, { signal, onStop }) => {
  const selected = selectControllers(controllers, flags.controllers);
  const connection = await connect('controller-manager', flags, logger);
  onStop('connection', () => connection.close());
  const { client } = connection;
  const config = toConfig(flags, connection.ca);
  const paths = await createRestPaths(flags);
  onStop('REST', () => paths.close());
  const metrics = createMetrics();
  registerWorkqueueMetrics(metrics);
  const health = await serveHealth({ address: flags['health-address'], metrics });
  onStop('health', () => health.close());

  const lead = async (term: AbortSignal): Promise<void> => {
    // Every informer and every wait listens.
    setMaxListeners(0, term);
    const factory = connection.newInformers();
    const running = runControllers(selected, {
      client,
      informers: new ClusterInformers(factory),
      recorder: component => new EventRecorder({ client, logger, component }),
      readPath: path => paths.read(path),
      deletePath: path => paths.delete(path),
      logger,
      clock: systemClock,
      config,
      signal: term,
    });
    await factory.start(term);
    running.begin();
    logger.info({ controllers: selected.map(({ name }) => name) }, 'controllers are running');
    await new Promise<void>(resolve => {
      if (term.aborted) resolve();
      term.addEventListener('abort', () => resolve(), { once: true });
    });
    await running.stop();
  };

  if (!flags['leader-elect']) return lead(signal);
  const identity = candidateIdentity(health.port);
  await new LeaderElector({ client, logger, name: 'kube-controller-manager', identity }).run(lead, signal);
  // What a leader knows must not outlive its term: the keeper starts a fresh process.
  if (!signal.aborted) throw new Error('leadership was lost');
});
