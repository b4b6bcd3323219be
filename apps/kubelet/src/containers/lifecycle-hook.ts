import type { Container } from '@naru/api';
import type { Clock } from '@naru/foundation';
import { probeHttp, probeUrl, resolvePort } from '../probes/http-probe';
import net from 'node:net';

export type LifecycleHandler = NonNullable<NonNullable<Container['lifecycle']>['preStop']>;

export interface HookInput {
  handler: LifecycleHandler;
  container: Container;
  containerId: string;
  podIp: string;
  timeoutMs: number;
  clock: Clock;
  runtime: {
    execSync(id: string, command: string[], timeoutSeconds: number): Promise<{ exitCode: number; output: string }>;
  };
  signal?: AbortSignal;
}

/** Runs a postStart or preStop hook to its end. Throws, with what went wrong, when it failed or took too long. */
export async function runHook(input: HookInput): Promise<void> {
  const { handler, container, containerId, podIp, timeoutMs, clock, runtime } = input;
  if (handler.exec) {
    const command = handler.exec.command ?? [];
    const seconds = Math.max(1, Math.ceil(timeoutMs / 1000));
    const { exitCode, output } = await runtime.execSync(containerId, command, seconds);
    if (exitCode !== 0) {
      throw new Error(`command '${command.join(' ')}' exited with ${exitCode}: ${output.slice(0, 1024)}`);
    }
  } else if (handler.httpGet) {
    const { success, output } = await probeHttp(
      probeUrl(handler.httpGet, container, podIp),
      handler.httpGet,
      Math.min(timeoutMs, 30_000),
    );
    if (!success) throw new Error(output);
  } else if (handler.sleep) {
    await clock.sleep(Math.min(handler.sleep.seconds * 1000, timeoutMs), input.signal);
  } else if (handler.tcpSocket) {
    const port = resolvePort(handler.tcpSocket.port as string | number, container);
    await new Promise<void>((resolve, reject) => {
      const socket = net.connect({ host: handler.tcpSocket?.host || podIp, port, timeout: timeoutMs });
      socket.once('connect', () => resolve(void socket.destroy()));
      socket.once('timeout', () => socket.destroy(new Error('i/o timeout')));
      socket.once('error', reject);
    });
  } else throw new Error('invalid handler: it has no action');
}
