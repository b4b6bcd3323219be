import type { ProbeMetrics } from '../metrics/probe-metrics';
import type { NodePressure } from '../node/node-pressure';
import type { PodWorkers } from '../pods/pod-workers';
import type { Surroundings } from '../surroundings';
import { CheckpointRoute } from './checkpoint-route';
import { ContainerRoutes } from './container-routes';
import { DialRoute } from './dial-route';
import { Gatekeeper } from './gatekeeper';
import { KubeletServer } from './kubelet-server';
import { LogRoute } from './log-route';
import { NodeRoutes } from './node-routes';

interface ServerDeps extends Surroundings {
  workers: PodWorkers;
  pressure: NodePressure;
  probeMetrics: ProbeMetrics;
}

/** The kubelet's HTTPS API with all its routes. */
export function buildServer(deps: ServerDeps): KubeletServer {
  const { configuration, client, runtime, workers, paths, pressure, metrics, nodeName, clock, logger } = deps;
  const server = new KubeletServer({
    host: configuration.address,
    port: configuration.port,
    tls: {
      ca: configuration.authentication.x509.clientCAFile,
      certificate: configuration.tlsCertFile,
      key: configuration.tlsPrivateKeyFile,
    },
    gatekeeper: new Gatekeeper({ client, clock, nodeName }),
    logger,
    metrics,
  });
  const containerRoutes = new ContainerRoutes({ workers, runtime, paths, clock });
  const nodeRoutes = new NodeRoutes({
    workers,
    runtime,
    metrics: metrics.registry,
    checks: [{ name: 'runtime', check: async () => void (await runtime.version()) }],
    summary: pressure.summary,
    cpuAndMemory: pressure.cpuAndMemory,
    cadvisor: pressure.cadvisor,
    probeMetrics: deps.probeMetrics.registry,
    configuration,
  });
  const logRoute = new LogRoute({
    directory: '/var/log',
    alsoWithin: [paths.logsDir],
    enabled: configuration.enableSystemLogHandler,
  });
  const checkpointRoute = new CheckpointRoute({ workers, runtime, paths, clock });
  server.serve(
    { ...nodeRoutes.routes, ...containerRoutes.routes, ...logRoute.routes, ...checkpointRoute.routes },
    { ...containerRoutes.upgrades, ...new DialRoute({ workers }).upgrades },
  );
  return server;
}
