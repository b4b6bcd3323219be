import { StatusError } from '@naru/foundation';
import { tryCommand } from './run-command';

/** A directory or file that is to appear a second time, with ids as a user namespace has them. */
export interface IdmappedMount {
  source: string;
  /** Exists, and is of the same kind. */
  target: string;
  /** Bring along what is mounted below the source; the ids of that stay as they are. */
  recursive: boolean;
}

/**
 * Neither Node nor util-linux 2.38 has open_tree(2), mount_setattr(2) and move_mount(2). Perl is on every Debian, calls what has no wrapper,
 * and ends within milliseconds. Their numbers are the same on every architecture. Source: linux/mount.h, and docs/adr/0008.
 */
const program = `
use strict;
my ($atFdcwd, $atEmptyPath, $atRecursive) = (-100, 0x1000, 0x8000);
my ($openTree, $openTreeClone, $oCloexec) = (428, 1, 02000000);
my ($mountSetattr, $mountAttrIdmap) = (442, 0x100000);
my ($moveMount, $moveMountFromEmptyPath) = (429, 4);
my $empty = '';
open(my $namespace, '<', shift @ARGV) or die "user namespace: $!\\n";
while (my ($recursive, $source, $target) = splice(@ARGV, 0, 3)) {
  my $tree = syscall($openTree, $atFdcwd, $source, $openTreeClone | $oCloexec | ($recursive eq 'r' ? $atRecursive : 0));
  die "$source: open_tree: $!\\n" if $tree < 0;
  my $attributes = pack('Q4', $mountAttrIdmap, 0, 0, fileno($namespace));
  syscall($mountSetattr, $tree, $empty, $atEmptyPath, $attributes, length $attributes) == 0
    or die "$source: its file system cannot have ids mapped on this kernel: mount_setattr: $!\\n";
  syscall($moveMount, $tree, $empty, $atFdcwd, $target, $moveMountFromEmptyPath) == 0 or die "$target: move_mount: $!\\n";
}
`;

/**
 * Mounts with the ids of a user namespace: what is owned by root on the disk is owned by the root of that namespace there. Throws BadRequest, naming the
 * source whose file system does not allow it; mounts made until then stay.
 */
export async function mountIdmapped(userNamespace: string, mounts: readonly IdmappedMount[]): Promise<void> {
  if (mounts.length === 0) return;
  const list = mounts.flatMap(({ source, target, recursive }) => [recursive ? 'r' : '-', source, target]);
  const { code, stderr } = await tryCommand('perl', ['-e', program, userNamespace, ...list]);
  if (code !== 0) throw new StatusError('BadRequest', `failed to map the ids of ${stderr.trim()}`);
}
