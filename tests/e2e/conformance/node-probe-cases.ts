import type { Container, Pod, PodSpec } from '@naru/api';
import type { Known } from './api';
import { image } from './node-pod-cases';

/** A container with probes, and what must become of it. */
export interface ProbeCase {
  name: string;
  spec: PodSpec;
  /** So often it is started again, at least. */
  restarts?: number;
  /** It becomes ready; otherwise it must not. */
  ready?: boolean;
  /** It is looked at when it has been probed so often, with this result. */
  probes?: { type: 'Liveness' | 'Readiness' | 'Startup'; result: 'successful' | 'failed'; count: number };
  check?: (pod: Known<Pod>) => void;
}

const probed = (container: Partial<Container>, more: Partial<PodSpec> = {}): PodSpec => ({
  terminationGracePeriodSeconds: 0,
  ...more,
  containers: [{ name: 'main', image, command: ['sleep', '1000'], ...container }],
});
const script = (text: string): Pick<Container, 'command'> => ({ command: ['sh', '-c', text] });
const often = { periodSeconds: 1, timeoutSeconds: 30 };
/** For who starts slowly on a busy machine, and is to be left alone. */
const patient = { ...often, failureThreshold: 60 };
const once = { ...often, failureThreshold: 1, initialDelaySeconds: 1 };
const catHealth = { exec: { command: ['cat', '/tmp/health'] } };
const never = { exec: { command: ['false'] } };
const healthz = { httpGet: { path: '/healthz', port: 8080 } };
const wentWell = { type: 'Liveness', result: 'successful', count: 4 } as const;
/** Its /healthz is found for two seconds. */
const failingServer = script(
  'mkdir /www && touch /www/healthz && httpd -p 8080 -h /www && sleep 2 && rm /www/healthz && sleep 1000',
);
const health = { args: ['--grpc', '5000', '--http', '8080'], command: ['/bin/node', '/server.js'] };

export const probeCases: ProbeCase[] = [
  {
    name: 'whose file goes is started again by the exec probe of it',
    spec: probed({
      ...script('touch /tmp/health; sleep 2; rm /tmp/health; sleep 1000'),
      livenessProbe: { ...catHealth, ...once },
    }),
    restarts: 1,
  },
  {
    name: 'whose file stays is left alone by the exec probe of it',
    spec: probed({ ...script('touch /tmp/health; sleep 1000'), livenessProbe: { ...catHealth, ...patient } }),
    ready: true,
    probes: wentWell,
  },
  {
    name: 'whose /healthz fails is started again by the HTTP probe of it, and again',
    spec: probed({ ...failingServer, livenessProbe: { ...healthz, ...once } }),
    restarts: 2,
  },
  {
    name: 'whose /healthz answers is left alone by the HTTP probe of it',
    spec: probed({ ...health, livenessProbe: { ...healthz, ...patient } }),
    ready: true,
    probes: wentWell,
  },
  {
    name: 'whose port is open is left alone by the TCP probe of it, whatever it answers',
    spec: probed({ ...failingServer, livenessProbe: { tcpSocket: { port: 8080 }, ...patient } }),
    ready: true,
    probes: wentWell,
  },
  {
    name: 'that is healthy in words of gRPC is left alone',
    spec: probed({ ...health, livenessProbe: { grpc: { port: 5000 }, ...patient } }),
    ready: true,
    probes: wentWell,
  },
  {
    name: 'that does not speak gRPC where it is probed is started again',
    spec: probed({ ...health, livenessProbe: { grpc: { port: 2333 }, ...once } }),
    restarts: 1,
  },
  {
    name: 'is not ready before the delay of its readiness probe, and not started again',
    spec: probed({ readinessProbe: { exec: { command: ['true'] }, periodSeconds: 1, initialDelaySeconds: 4 } }),
    ready: true,
    check: ({ status }) => {
      const ready = status?.conditions?.find(({ type }) => type === 'Ready')?.lastTransitionTime ?? '';
      const started = status?.containerStatuses?.[0]?.state?.running?.startedAt ?? '';
      // Both are whole seconds.
      expect(Date.parse(ready) - Date.parse(started)).toBeGreaterThanOrEqual(3000);
    },
  },
  {
    name: 'whose readiness probe fails is never ready, and not started again',
    spec: probed({ readinessProbe: { ...never, ...often } }),
    probes: { type: 'Readiness', result: 'failed', count: 4 },
  },
  {
    name: 'whose startup probe has failed often enough is started again',
    spec: probed({ startupProbe: { ...never, ...often, failureThreshold: 2 } }),
    restarts: 1,
  },
  {
    name: 'that has not started up is not started again by its liveness probe',
    spec: probed({
      startupProbe: { ...never, ...often, failureThreshold: 1000 },
      livenessProbe: { ...never, ...once },
    }),
    probes: { type: 'Startup', result: 'failed', count: 4 },
  },
  {
    name: 'that has started up is started again by its liveness probe',
    spec: probed({ startupProbe: { exec: { command: ['true'] }, ...often }, livenessProbe: { ...never, ...once } }),
    restarts: 1,
  },
  {
    name: 'that ignores its end has the grace period of the liveness probe that failed',
    spec: probed(
      { livenessProbe: { ...never, ...once, terminationGracePeriodSeconds: 1 } },
      { terminationGracePeriodSeconds: 500 },
    ),
    restarts: 1,
  },
  {
    name: 'that ignores its end has the grace period of the startup probe that failed',
    spec: probed(
      { startupProbe: { ...never, ...once, terminationGracePeriodSeconds: 1 } },
      { terminationGracePeriodSeconds: 500 },
    ),
    restarts: 1,
  },
];
