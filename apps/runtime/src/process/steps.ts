/**
 * What a child of the spawner does before it ends, or becomes a command: one after the other, until one fails. A step is its name and its arguments, texts all
 * of them. Only the last may be one that ends in a program.
 */
export type Step =
  | readonly ['chdir', directory: string]
  | readonly ['env', name: string, value: string]
  | readonly ['write', file: string, content: string]
  | readonly ['unshare', flags: string]
  /** Namespaces that are there already. */
  | readonly ['enter', ...files: string[]]
  /** Of the user namespace it is in. */
  | readonly ['root']
  | readonly ['mount', source: string, target: string, type: string, flags: string, data: string]
  /** Whatever is mounted there, even if it is busy; where nothing is, it is passed over. */
  | readonly ['unmount', target: string]
  /** A network interface. */
  | readonly ['raise', name: string]
  | readonly ['exec', file: string, ...args: string[]]
  /** A program that leaves a process behind, which tells one line by the descriptor that is in the variable: the output of the steps. */
  | readonly ['told', variable: string, file: string, ...args: string[]];

/** Source: linux/sched.h. */
export const namespaceFlags = { uts: 0x0400_0000, ipc: 0x0800_0000, net: 0x4000_0000 } as const;

/** Source: linux/mount.h. */
const mountFlags = { nosuid: 2, nodev: 4, noexec: 8, bind: 4096 } as const;

/** A step that leaves namespaces for new ones. */
export function unshare(flags: readonly number[]): Step {
  return ['unshare', String(flags.reduce((sum, flag) => sum | flag, 0))];
}

/** A step that makes a mount. `data` is for the file system, and at most a page. */
export function mount(
  source: string,
  target: string,
  options: { type?: string; flags?: readonly (keyof typeof mountFlags)[]; data?: string },
): Step {
  const flags = (options.flags ?? []).reduce((sum, flag) => sum | mountFlags[flag], 0);
  return ['mount', source, target, options.type ?? '', String(flags), options.data ?? ''];
}
