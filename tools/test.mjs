// Runs everything that must pass, in stages, some side by side, and ends in one line "N passed, N failed" over all of them.
// Usage: node tools/test.mjs [--only checks,unit,e2e,compose] [jest arguments...]
// `./naru test` calls it after it has set the machine up; a check counts as one test.
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import path from 'node:path';

const root = path.resolve(import.meta.dirname, '..');
const scratch = mkdtempSync(path.join(tmpdir(), 'naru-test-'));
const env = { ...process.env, NX_DAEMON: 'false', NX_TUI: 'false', FORCE_COLOR: '0' };

const [onlyFlag, only = ''] = process.argv.slice(2);
const wanted = onlyFlag === '--only' ? only.split(',') : ['checks', 'unit', 'e2e', 'compose'];
const jestArguments = onlyFlag === '--only' ? process.argv.slice(4) : process.argv.slice(2);

/** Runs a command to its end with its output shown; answers its exit code. */
function run(command, args) {
  return new Promise(resolve => {
    const child = spawn(command, args, { cwd: root, env, stdio: ['ignore', 'inherit', 'inherit'] });
    child.on('error', () => resolve(127));
    child.on('exit', code => resolve(code ?? 1));
  });
}

async function check(name, command, args) {
  console.log(`\n== ${name}`);
  const code = await run(command, args);
  return { name, passed: code === 0 ? 1 : 0, failed: code === 0 ? 0 : 1, skipped: 0 };
}

async function jest(name, args) {
  console.log(`\n== ${name}`);
  const report = path.join(scratch, `${name}.json`);
  const code = await run(path.join(root, 'node_modules/.bin/jest'), [
    ...args,
    '--json',
    `--outputFile=${report}`,
    ...jestArguments,
  ]);
  try {
    const { numPassedTests, numFailedTests, numPendingTests, numRuntimeErrorTestSuites } = JSON.parse(
      readFileSync(report, 'utf8'),
    );
    const failed = numFailedTests + numRuntimeErrorTestSuites;
    return { name, passed: numPassedTests, failed: failed === 0 && code !== 0 ? 1 : failed, skipped: numPendingTests };
  } catch {
    return { name, passed: 0, failed: 1, skipped: 0 };
  }
}

// Most of these tests wait: for containers, packets, other processes. With a worker a core the machine would idle.
const workers = availableParallelism() + 1;

const stages = {
  checks: () => [
    () => check('format', 'npm', ['run', '-s', 'format:check']),
    () => check('typecheck', 'npm', ['run', '-s', 'typecheck']),
    () => check('lint', 'npm', ['run', '-s', 'lint']),
    () => check('reference', 'node', ['tools/check-reference.mjs']),
  ],
  unit: () => [() => jest('unit and integration', ['--silent=false', `--maxWorkers=${workers}`])],
  compose: () => [() => jest('docker compose', ['--config', 'tests/compose.jest.config.js', '--runInBand'])],
  e2e: () => [() => jest('end to end', ['--config', 'tests/jest.config.js', '--runInBand'])],
};

// Stages of one round run side by side: Compose builds its image and waits for its containers while the others compute. What has a
// cluster's deadlines to keep runs by itself.
const rounds = [[['checks', 'unit'], ['compose']], [['e2e']]];

const results = [];
const begun = Date.now();
async function runLane(names) {
  for (const stage of names.filter(name => wanted.includes(name))) {
    for (const step of stages[stage]()) results.push(await step());
  }
}
for (const lanes of rounds) await Promise.all(lanes.map(runLane));
rmSync(scratch, { recursive: true, force: true });

const sum = key => results.reduce((total, result) => total + result[key], 0);
console.log('');
for (const { name, passed, failed, skipped } of results) {
  console.log(
    `${failed ? '✗' : '✓'} ${name}: ${passed} passed, ${failed} failed${skipped ? `, ${skipped} skipped` : ''}`,
  );
}
// Skipping is for laptops without root; where CI runs, a test that skips has not done its work.
const skippedInCi = process.env.CI === 'true' ? sum('skipped') : 0;
if (skippedInCi) console.log(`✗ ${skippedInCi} skipped in CI, which counts as failed`);
console.log(`took ${Math.round((Date.now() - begun) / 1000)} s`);
console.log(`${sum('passed')} passed, ${sum('failed') + skippedInCi} failed`);
process.exit(sum('failed') + skippedInCi === 0 ? 0 : 1);
