import type { Pod, Stored } from '@naru/api';
import type { WaitingReason } from '../status/container-status';

/** Under which a container's restarts are counted: another image is another start. */
export function restartKey(uid: string, name: string, hash: string): string {
  return `${uid}/${name}/${hash}`;
}

/** As Go prints a duration: 40s, 1m20s, 5m0s. */
function formatSeconds(seconds: number): string {
  return seconds < 60 ? `${seconds}s` : `${Math.floor(seconds / 60)}m${seconds % 60}s`;
}

/** Why a container that keeps failing is not running. */
export function crashLoop({ metadata }: Stored<Pod>, container: string, delayMs: number): WaitingReason {
  const which = `failed container=${container} pod=${metadata.name}_${metadata.namespace ?? ''}(${metadata.uid})`;
  const message = `back-off ${formatSeconds(Math.round(delayMs / 1000))} restarting ${which}`;
  return { reason: 'CrashLoopBackOff', message };
}
