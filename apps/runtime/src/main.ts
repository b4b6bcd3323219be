import { createMetrics, runProcess, serveHealth } from '@naru/foundation';
import { runtimeFlags } from './flags';

declare const NARU_VERSION: string | undefined;
const version = typeof NARU_VERSION === 'string' ? NARU_VERSION : '0.0.0';

if (process.argv[2] === 'load') {
  import('./load-command')
    .then(({ loadCommand }) => loadCommand(process.argv.slice(3)))
    .then(
      code => process.exit(code),
      (error: unknown) => {
        process.stderr.write(`${String(error)}\n`);
        process.exit(1);
      },
    );
} else {
  runProcess('runtime', runtimeFlags, async (flags, logger, lifecycle) => {
    const { buildRuntime } = await import('./build-runtime');
    const metrics = createMetrics();
    let started = false;
    const ready = {
      name: 'recovered',
      check: () => {
        if (!started) throw new Error('containers of an earlier process are being taken up');
      },
    };
    const health = await serveHealth({ address: flags['health-address'], metrics, ready: [ready] });
    lifecycle.onStop('health', health.close);
    const runtime = await buildRuntime(flags, { version, logger, signal: lifecycle.signal });
    lifecycle.onStop('runtime', runtime.close);
    started = true;
  });
}
