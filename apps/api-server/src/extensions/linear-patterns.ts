import v8 from 'node:v8';

/**
 * Lets V8 go over to its linear engine when a pattern backtracks too much: patterns come from the authors of schemas, and
 * what they are matched with from anybody. Must be called before the patterns are compiled.
 */
export function useLinearPatterns(): void {
  v8.setFlagsFromString('--enable-experimental-regexp-engine-on-excessive-backtracks');
}
