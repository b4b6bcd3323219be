const firstWaitMs = 100;
const maxWaitMs = 30_000;

interface Closable {
  close(): Promise<void>;
}

export interface PatientListenerDeps<L extends Closable> {
  /** Fails while somebody else has the port. */
  listen: () => Promise<L>;
  onFailure: (err: unknown, retryInMs: number) => void;
}

export interface PatientListener<L extends Closable> extends Closable {
  /** What listens; undefined while nothing does. */
  current(): L | undefined;
}

/** Listens at once or, where that fails, as soon as it can: it tries again after waits that grow. Resolves after the first attempt. */
export async function listenPatiently<L extends Closable>({
  listen,
  onFailure,
}: PatientListenerDeps<L>): Promise<PatientListener<L>> {
  let listener: L | undefined;
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
    current: () => listener,
    async close() {
      closed = true;
      clearTimeout(timer);
      await trying;
      await listener?.close();
    },
  };
}
