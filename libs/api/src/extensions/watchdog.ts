import vm from 'node:vm';

let watched: { script: vm.Script; context: vm.Context & { work?: () => unknown } } | undefined;

/**
 * Runs work that a client may have made long, at most for `timeoutMs`. Only a script of its own can be stopped while it
 * runs; the start of one costs some tenths of a millisecond.
 * @throws Error that `isOutOfTime` knows
 */
export function runWithin<T>(timeoutMs: number, work: () => T): T {
  watched ??= { script: new vm.Script('work()'), context: vm.createContext({}) };
  watched.context.work = work;
  try {
    return watched.script.runInContext(watched.context, { timeout: timeoutMs }) as T;
  } finally {
    delete watched.context.work;
  }
}

export function isOutOfTime(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ERR_SCRIPT_EXECUTION_TIMEOUT';
}
