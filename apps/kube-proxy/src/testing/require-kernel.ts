import { spawnSync } from 'node:child_process';
import { describeWhere } from '@naru/testing';

const programs = ['ip', 'bridge', 'nft', 'iptables-restore', 'conntrack', 'socat', 'ss'];

function obstacle(): string | undefined {
  if (process.getuid?.() !== 0) return 'needs root';
  const missing = programs.filter(program => spawnSync('which', [program]).status !== 0);
  return missing.length > 0 ? `needs ${missing.join(', ')}` : undefined;
}

/** For tests that make network namespaces. */
export function describeInKernel(name: string, body: () => void): void {
  describeWhere(obstacle(), name, body);
}
