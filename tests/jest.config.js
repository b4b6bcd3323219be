// Whole-cluster tests: real processes, real containers, the real kubectl. One cluster serves all of them; run in band.
const base = require('../jest.config.js');

module.exports = {
  ...base,
  rootDir: '..',
  roots: ['<rootDir>/tests'],
  // Has a configuration of its own: it needs Docker, not the shared cluster.
  testPathIgnorePatterns: ['/tests/e2e/compose/'],
  globalSetup: '<rootDir>/tests/e2e/cluster-up.ts',
  globalTeardown: '<rootDir>/tests/e2e/cluster-down.ts',
  testTimeout: 300_000,
  // Tests that only wait for pods wait side by side (test.concurrent).
  maxConcurrency: 30,
};
