import { setMaxListeners } from 'node:events';
import { UsageError, describeFlags, parseFlags, type Flags, type FlagSpec } from './flags';
import { createLogger, type Logger } from './log';

/** What a running process must be able to do at its end. Called in reverse order of registration. */
export interface Lifecycle {
  /** Aborted when the process is asked to stop. */
  readonly signal: AbortSignal;
  /**
   * Registers something to close; the name appears in the log when it fails or is late. What may take long says so: the
   * process has that much longer.
   */
  onStop(name: string, close: () => Promise<void> | void, allowanceMs?: number): void;
}

/** How long a process may take to close before it is ended all the same. */
const stopTimeoutMs = 10_000;

/**
 * The main of every process: parse flags, build and run, wait for SIGTERM or SIGINT, close in reverse order.
 * Exit codes: 0 after a clean stop, 1 after a failure, 2 for a mistake on the command line.
 */
export function runProcess<const T extends Record<string, FlagSpec>>(
  component: string,
  specs: T,
  run: (flags: Flags<T>, logger: Logger, lifecycle: Lifecycle) => Promise<void>,
): void {
  const argv = process.argv.slice(2);
  if (argv.includes('--help') || argv.includes('-h')) {
    process.stdout.write(`Usage: ${component} [flags]\n\n${describeFlags(specs)}\n`);
    return;
  }
  let flags: Flags<T>;
  try {
    flags = parseFlags(specs, argv);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    process.stderr.write(`${component}: ${error.message}\n`);
    process.exit(2);
  }
  const logger = createLogger(component);
  const controller = new AbortController();
  // Every informer and loop of the process listens to this one signal.
  setMaxListeners(0, controller.signal);
  const closers: { name: string; close: () => Promise<void> | void; allowanceMs: number }[] = [];
  const stop = async (exitCode: number): Promise<void> => {
    if (controller.signal.aborted) return;
    controller.abort(new Error('the process is stopping'));
    const timeoutMs = closers.reduce((sum, { allowanceMs }) => sum + allowanceMs, stopTimeoutMs);
    const deadline = setTimeout(() => {
      logger.error({ timeoutMs }, 'stop timed out');
      process.exit(exitCode || 1);
    }, timeoutMs);
    deadline.unref();
    for (const { name, close } of closers.reverse()) {
      try {
        await close();
      } catch (err) {
        logger.error({ err, part: name }, 'closing failed');
      }
    }
    logger.info('stopped');
    process.exit(exitCode);
  };
  process.on('SIGTERM', () => void stop(0));
  process.on('SIGINT', () => void stop(0));
  // A programmer's error: the state of the process is unknown, so end it; the keeper starts a new one.
  const crash = (err: unknown): void => {
    logger.fatal({ err }, 'crashed');
    process.exit(1);
  };
  process.on('uncaughtException', crash);
  process.on('unhandledRejection', crash);
  const lifecycle: Lifecycle = {
    signal: controller.signal,
    onStop: (name, close, allowanceMs = 0) => void closers.push({ name, close, allowanceMs }),
  };
  run(flags, logger, lifecycle).catch((err: unknown) => {
    if (controller.signal.aborted) return;
    // Flags that depend on each other are checked by the process itself.
    if (err instanceof UsageError) {
      process.stderr.write(`${component}: ${err.message}\n`);
      return void stop(2);
    }
    logger.fatal({ err }, 'start failed');
    void stop(1);
  });
}
