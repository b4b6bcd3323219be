/**
 * How a process of Node is started that computes little and has many beside it on its machine: with a small young generation, a
 * heap that grows reluctantly, and native memory (TLS, HTTP/2, the compiler's work space) that goes back to the kernel. glibc has an
 * arena a thread and raises its thresholds with each large block that is freed: after a burst of pods both hold on to megabytes. A
 * function is compiled with optimisation after 10 MB of its bytecode have run, not after 66 KB: what is really hot still is, while the
 * compiler's own pages, and the code that it would make for everything else, stay away.
 */
export const frugal = {
  options: ['--max-semi-space-size=1', '--optimize-for-size', '--interrupt-budget=10000000'],
  environment: { MALLOC_ARENA_MAX: '1', MALLOC_TRIM_THRESHOLD_: '65536', MALLOC_MMAP_THRESHOLD_: '65536' },
};
