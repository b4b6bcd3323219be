import pino from 'pino';

export type Logger = pino.Logger;

/**
 * Creates the root logger of a process: one JSON object a line on standard output.
 * Messages are constant; what varies goes into fields (component, namespace, name, node, durationMs, err, ...).
 * The level is LOG_LEVEL or "info".
 */
export function createLogger(component: string, fields: Record<string, unknown> = {}): Logger {
  return pino(
    {
      base: { component, ...fields },
      level: process.env['LOG_LEVEL'] ?? 'info',
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: label => ({ level: label }) },
      redact: { paths: ['*.token', '*.authorization', 'token', 'authorization'], censor: '[redacted]' },
      serializers: { err: pino.stdSerializers.errWithCause },
    },
    pino.destination({ dest: 1, sync: true }),
  );
}

/** A logger that says nothing, for tests. */
export const silentLogger: Logger = pino({ level: 'silent' });
