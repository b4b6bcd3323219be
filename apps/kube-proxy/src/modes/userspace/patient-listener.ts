import type { Listener } from './listener';

const firstWaitMs = 100;
const maxWaitMs = 30_000;

export interface PatientListenerDeps {
  /** Fails while somebody else has the port. */
  listen: () => Promise<Listener>;
  onFailure: (err: unknown, retryInMs: number) => void;
}

/** Listens at once or, where that fails, as soon as it can: it tries again after waits that grow. Resolves after the first attempt. */
export async function listenPatiently({ listen, onFailure }: PatientListenerDeps): Promise<Listener> {
  let listener: Listener | undefined;
  let timer: NodeJS.Timeout | undefined;
  let closed = false;
  const attempt = async (waitMs: number): Promise<void> => {
    try {
      listener = await listen();
    } catch (err) {
      if (closed) return;
      onFailure(err, waitMs);
      timer = setTimeout(() => (trying = attempt(Math.min(waitMs * 2, maxWaitMs))), waitMs).unref();
    }
  };
  let trying = attempt(firstWaitMs);
  await trying;
  return {
    forget: isGone => listener?.forget(isGone),
    async close() {
      closed = true;
      clearTimeout(timer);
      await trying;
      await listener?.close();
    },
  };
}
