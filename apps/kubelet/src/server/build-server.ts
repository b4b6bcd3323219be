import type { ObjectsClient } from '@naru/client';
import type { Clock, Logger } from '@naru/foundation';
import type { Registry } from 'prom-client';
import type { KubeletConfiguration } from '../config/kubelet-configuration';
import type { CriClient } from '../cri/cri-client';
import type { KubeletMetrics } from '../metrics/kubelet-metrics';
import type { ProbeMetrics } from '../metrics/probe-metrics';
import type { NodePressure } from '../node/node-pressure';
import type { PodPaths } from '../pods/pod-paths';
import type { PodWorkers } from '../pods/pod-workers';
import { ContainerRoutes } from './container-routes';
import { DialRoute } from './dial-route';
import { Gatekeeper } from './gatekeeper';
import { KubeletServer } from './kubelet-server';
import { LogRoute } from './log-route';
import { NodeRoutes } from './node-routes';

interface ServerParts {
  configuration: KubeletConfiguration;
  client: ObjectsClient;
  runtime: CriClient;
  workers: PodWorkers;
  paths: PodPaths;
  pressure: NodePressure;
  registry: Registry;
  metrics: KubeletMetrics;
  probeMetrics: ProbeMetrics;
  nodeName: string;
  clock: Clock;
  logger: Logger;
}

/** The kubelet's HTTPS API with all its routes. */
export function buildServer(parts: ServerParts): KubeletServer {
  const { configuration, client, runtime, workers, paths, pressure, metrics, nodeName, clock, logger } = parts;
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
    metrics: parts.registry,
    checks: [{ name: 'runtime', check: async () => void (await runtime.version()) }],
    summary: pressure.summary,
    cadvisor: pressure.cadvisor,
    probeMetrics: parts.probeMetrics.registry,
    configuration,
  });
  const logRoute = new LogRoute({
    directory: '/var/log',
    alsoWithin: [paths.logsDir],
    enabled: configuration.enableSystemLogHandler,
  });
  server.serve(
    { ...nodeRoutes.routes, ...containerRoutes.routes, ...logRoute.routes },
    { ...containerRoutes.upgrades, ...new DialRoute({ workers }).upgrades },
  );
  return server;
}
