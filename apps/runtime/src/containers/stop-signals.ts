import { constants } from 'node:os';
import { cri } from '@naru/proto';

/** glibc's first real-time signal on Linux. */
const rtMin = 34;
const rtMax = 64;

function parse(name: string): number | undefined {
  const upper = name.toUpperCase();
  const full = upper.startsWith('SIG') ? upper : `SIG${upper}`;
  const [, base, offset = '0'] = /^SIG(RTMIN|RTMAX)(?:[+-](\d+))?$/.exec(full) ?? [];
  if (base === 'RTMIN') return rtMin + Number(offset);
  if (base === 'RTMAX') return rtMax - Number(offset);
  return (constants.signals as Record<string, number | undefined>)[full];
}

/** The number of a signal that an image names, such as "SIGQUIT", "quit", "3" or "SIGRTMIN+3"; SIGTERM when it names none. */
export function signalNumber(name: string | undefined): number {
  if (!name) return constants.signals.SIGTERM;
  const number = /^\d+$/.test(name) ? Number(name) : parse(name);
  return number !== undefined && number > 0 && number <= rtMax ? number : constants.signals.SIGTERM;
}

/** The number of a signal of the CRI. */
export function criSignalNumber(signal: cri.Signal): number {
  const name = cri.signalToJSON(signal).replace('PLUS', '+').replace('MINUS', '-');
  return signal === cri.Signal.RUNTIME_DEFAULT ? constants.signals.SIGTERM : signalNumber(name);
}

/** The CRI's name of a signal number: what the kubelet shows as a container's stop signal. */
export function toCriSignal(number: number): cri.Signal {
  const fromRt = number - rtMin;
  const name =
    number < rtMin
      ? (Object.entries(constants.signals).find(([, value]) => value === number)?.[0] ?? 'SIGTERM')
      : fromRt === 0
        ? 'SIGRTMIN'
        : number === rtMax
          ? 'SIGRTMAX'
          : fromRt <= 15
            ? `SIGRTMINPLUS${fromRt}`
            : `SIGRTMAXMINUS${rtMax - number}`;
  return cri.signalFromJSON(name);
}
