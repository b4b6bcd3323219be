import { systemClock, type Clock, type Logger } from '@naru/foundation';
import type { CriClient } from './cri-client';

/** The name of the runtime, once it answers: it may come up after us. Rejects when the signal comes before that. */
export async function firstVersion(
  runtime: CriClient,
  deps: { clock?: Clock; logger: Logger; signal?: AbortSignal },
): Promise<string> {
  const { clock = systemClock, logger, signal } = deps;
  for (let attempt = 0; ; attempt++) {
    try {
      return (await runtime.version()).runtimeName;
    } catch (err) {
      if (attempt % 50 === 0) logger.info({ err }, 'waiting for the container runtime');
      await clock.sleep(100, signal);
    }
  }
}
