import net from 'node:net';
import { hostPort } from '@naru/foundation';
import type { Container, Probe } from '@naru/api';
import type { CriError } from '../cri/cri-client';
import { expand } from '../containers/expand';
import { describeDialError, probeHttp, probeUrl, resolvePort, type ProbeOutcome } from './http-probe';

interface Executor {
  execSync(
    containerId: string,
    command: string[],
    timeoutSeconds: number,
  ): Promise<{ exitCode: number; output: string }>;
}

export interface ProbeTarget {
  container: Container;
  containerId: string;
  podIp: string;
}

const maxOutputChars = 10 << 10;

function probeTcp(host: string, port: number, timeoutMs: number): Promise<ProbeOutcome> {
  return new Promise(resolve => {
    const socket = net.connect({ host, port });
    const finish = (outcome: ProbeOutcome): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(outcome);
    };
    const timer = setTimeout(
      () => finish({ success: false, output: `dial tcp ${hostPort(host, port)}: i/o timeout` }),
      timeoutMs,
    );
    socket.once('connect', () => finish({ success: true, output: '' }));
    socket.once('error', error => finish({ success: false, output: describeDialError(error, host, String(port)) }));
  });
}

async function probeExec(
  runtime: Executor,
  target: ProbeTarget,
  command: string[],
  timeoutSeconds: number,
): Promise<ProbeOutcome | undefined> {
  const plain = Object.fromEntries((target.container.env ?? []).map(({ name, value }) => [name, value]));
  const expanded = command.map(part => expand(part, name => plain[name]));
  try {
    const { exitCode, output } = await runtime.execSync(target.containerId, expanded, timeoutSeconds);
    return { success: exitCode === 0, output: output.slice(0, maxOutputChars) };
  } catch (error) {
    const { deadlineExceeded, message } = error as CriError;
    if (deadlineExceeded || /timed? ?out|deadline/i.test(message)) {
      return {
        success: false,
        output: `command timed out: "${expanded.join(' ')}" timed out after ${timeoutSeconds}s`,
      };
    }
    // The runtime could not try: that says nothing about the container.
    return undefined;
  }
}

/** Carries out one probe. `undefined`: it could not be carried out, which counts as nothing. */
export async function runProbe(
  probe: Probe,
  target: ProbeTarget,
  runtime: Executor,
): Promise<ProbeOutcome | undefined> {
  const timeoutSeconds = probe.timeoutSeconds ?? 1;
  const timeoutMs = timeoutSeconds * 1000;
  try {
    if (probe.exec) return await probeExec(runtime, target, probe.exec.command ?? [], timeoutSeconds);
    if (probe.httpGet) {
      return await probeHttp(probeUrl(probe.httpGet, target.container, target.podIp), probe.httpGet, timeoutMs);
    }
    if (probe.tcpSocket) {
      const port = resolvePort(probe.tcpSocket.port as string | number, target.container);
      return await probeTcp(probe.tcpSocket.host || target.podIp, port, timeoutMs);
    }
    if (probe.grpc) {
      const { probeGrpc } = await import('./grpc-probe');
      const host = target.podIp.includes(':') ? `[${target.podIp}]` : target.podIp;
      return await probeGrpc(`${host}:${probe.grpc.port}`, probe.grpc.service ?? '', timeoutMs);
    }
  } catch (error) {
    return { success: false, output: (error as Error).message };
  }
  return { success: true, output: '' };
}
