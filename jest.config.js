// One jest for the whole repository: unit and integration tests live beside what they test.
// Tests that need a whole cluster are in tests/ and have a configuration of their own (tests/jest.config.js).
const swc = [
  '@swc/jest',
  { jsc: { parser: { syntax: 'typescript' }, target: 'es2022' }, module: { type: 'commonjs' } },
];

/** ESM-only packages that must go through swc because jest runs CommonJS. */
const esmPackages = ['jose', '@marcbachmann/cel-js'];

module.exports = {
  testEnvironment: 'node',
  roots: ['<rootDir>/apps', '<rootDir>/libs', '<rootDir>/tools', '<rootDir>/examples'],
  testMatch: ['**/*.test.ts'],
  modulePathIgnorePatterns: ['<rootDir>/dist'],
  transform: { '^.+\\.(ts|mjs|js)$': swc },
  transformIgnorePatterns: [`/node_modules/(?!(${esmPackages.join('|')})/)`],
  testSequencer: '<rootDir>/tools/longest-first.mjs',
  // For a machine that is busy with others: whoever waits says itself, and sooner, what it has waited for in vain.
  testTimeout: 240_000,
  // Tests build with esbuild, whose service stays as long as the process: do not wait for it.
  forceExit: true,
  // Half a second, the default, is too short on a busy machine for a process to end that has nothing left to do.
  workerGracefulExitTimeout: 5_000,
};
