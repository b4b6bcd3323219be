// table.mjs REPORT...: counts the JUnit reports in these folders, by area, as rows of Markdown; then names what failed, each with the first line of its message.
// What ran twice counts as it ended the later time.
import { readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';

/** What this old suite asks for and 1.36 answers otherwise on purpose, by the names of tests. */
const removed = [
  [
    /ServiceAccounts should (mount an API token|allow opting out)/,
    'since 1.24 no Secret with a token is made for a service account',
  ],
  [
    /Events API should ensure that an event can be fetched/,
    'the note of an event cannot change: 1.20 compared the event with itself',
  ],
  [
    /Daemon set .* should update pod when spec was updated/,
    'what a revision remembers is compared by its bytes, and only old versions write "creationTimestamp":null into it',
  ],
];

const entities = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'", '#xA': '\n', '#x9': '\t', '#39': "'", '#34': '"' };
const text = xml => xml.replace(/&([#\w]+);/g, (whole, name) => entities[name] ?? whole);

const files = process.argv.slice(2).flatMap(folder =>
  readdirSync(folder)
    .filter(name => name.startsWith('junit_'))
    .map(name => path.join(folder, name)),
);
files.sort((a, b) => statSync(a).mtimeMs - statSync(b).mtimeMs);

const results = new Map();
for (const file of files) {
  for (const [, attributes, , body = ''] of readFileSync(file, 'utf8').matchAll(
    /<testcase ([^>]*?)(\/>|>([\s\S]*?)<\/testcase>)/g,
  )) {
    const name = text(/name="([^"]*)"/.exec(attributes)[1]);
    if (!/^\[(sig-|k8s)/.test(name) || body.includes('<skipped')) continue;
    const failure = /<failure[^>]*>([\s\S]*?)<\/failure>/.exec(body);
    results.set(name, failure ? text(failure[1]).trim() : '');
  }
}

const reason = name => removed.find(([pattern]) => pattern.test(name))?.[1];
const areas = new Map();
for (const [name, failure] of results) {
  const area = /^\[([^\]]+)\]/.exec(name)[1];
  const row = areas.get(area) ?? { tests: 0, passed: 0, removed: 0, failed: 0 };
  row.tests++;
  row[failure === '' ? 'passed' : reason(name) ? 'removed' : 'failed']++;
  areas.set(area, row);
}
const rows = [...areas].sort(([a], [b]) => a.localeCompare(b));
const all = { tests: 0, passed: 0, removed: 0, failed: 0 };
for (const [, row] of rows) for (const column of Object.keys(all)) all[column] += row[column];
console.log('| area | tests | passed | failed: 1.36 has it no more | failed otherwise |\n|---|---|---|---|---|');
for (const [area, row] of [...rows, ['all', all]])
  console.log(`| ${area} | ${row.tests} | ${row.passed} | ${row.removed} | ${row.failed} |`);

// What the framework said, and of an API's answer only the message.
const gist = failure => {
  const lines = failure.split('\n').slice(1);
  const answer = lines.find(line => line.includes('Message: "') && !line.includes('Message: ""'));
  return (answer ? [lines[0], answer.trim()] : lines.slice(0, 6)).join('\n    ');
};
for (const [name, failure] of results)
  if (failure !== '') console.log(`\n${name}\n    ${reason(name) ?? gist(failure)}`);
