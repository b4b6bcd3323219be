// The Docker Compose cluster: a Docker daemon of the test's own, the real image, real workers.
const base = require('../jest.config.js');

module.exports = {
  ...base,
  rootDir: '..',
  roots: ['<rootDir>/tests/e2e/compose'],
  testTimeout: 600_000,
};
