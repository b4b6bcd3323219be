import { spawnSync } from 'node:child_process';

const programs = ['ip', 'bridge', 'nft', 'iptables-restore', 'conntrack', 'socat', 'ss'];

function obstacle(): string | undefined {
  if (process.getuid?.() !== 0) return 'needs root';
  const missing = programs.filter(program => spawnSync('which', [program]).status !== 0);
  return missing.length > 0 ? `needs ${missing.join(', ')}` : undefined;
}

/** A `describe` that is skipped with the reason on a laptop where something is in the way, failing where CI=true. */
export function describeWhere(reason: string | undefined, name: string, body: () => void): void {
  if (reason === undefined) describe(name, body);
  else if (process.env['CI'] === 'true') {
    test(name, () => {
      throw new Error(`cannot run: ${reason}`);
    });
  } else describe.skip(`${name} (skipped: ${reason})`, body);
}

/** For tests that make network namespaces. */
export function describeInKernel(name: string, body: () => void): void {
  describeWhere(obstacle(), name, body);
}
