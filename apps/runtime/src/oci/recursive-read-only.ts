import os from 'node:os';
import { tryCommand } from '../process/run-command';

/** The first crun with the mount option `rro`; it got the command `features` later. */
const firstCrun = [1, 4];
/** The first kernel with mount_setattr(2). */
const firstKernel = [5, 12];

/**
 * Whether an OCI runtime on this kernel can make a mount and all below it read-only. Source: opencontainers/runtime-spec, features.md,
 * and containerd's kernelSupportsRRO.
 */
export async function mountsRecursivelyReadOnly(program: string, kernel = os.release()): Promise<boolean> {
  if (!isAtLeast(kernel, firstKernel)) return false;
  const features = await tryCommand(program, ['features']).catch(() => undefined);
  if (features?.code === 0) return listsRro(features.stdout);
  const version = await tryCommand(program, ['--version']).catch(() => undefined);
  const found = /^crun version (\S+)/.exec(version?.stdout ?? '')?.[1];
  return found !== undefined && isAtLeast(found, firstCrun);
}

function listsRro(stdout: string): boolean {
  try {
    return ((JSON.parse(stdout) as { mountOptions?: string[] }).mountOptions ?? []).includes('rro');
  } catch {
    return false;
  }
}

/** Compares the first two numbers of a version. */
function isAtLeast(version: string, [major = 0, minor = 0]: readonly number[]): boolean {
  const [ownMajor = 0, ownMinor = 0] = version.split(/[.-]/).map(Number);
  return ownMajor > major || (ownMajor === major && ownMinor >= minor);
}
