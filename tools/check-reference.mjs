// Checks docs/reference: every test that a table names exists under that very name in the file that it links to, or in one of the files
// named *-cases.ts that it imports from beside it: cases that several tests share.
// A row links its proof as [test name](path/to/x.test.ts), relative to the document.
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';

const folder = path.resolve(import.meta.dirname, '..', 'docs', 'reference');
const link = /\[((?:\\.|[^\]\\])+)\]\(([^)\s]+\.test\.ts)\)/g;

const sources = new Map();
/** A test's source and that of the cases which it imports, with escapes undone, so that a name is found however it is quoted. */
function sourceOf(file) {
  if (!sources.has(file)) sources.set(file, existsSync(file) ? readWithCases(file) : undefined);
  return sources.get(file);
}

function readWithCases(file) {
  const source = readFileSync(file, 'utf8');
  const cases = [...source.matchAll(/from '(\.[^']+-cases)'/g)].map(([, target]) =>
    readFileSync(path.resolve(path.dirname(file), `${target}.ts`), 'utf8'),
  );
  return [source, ...cases].join('\n').replace(/\\(['"`\\])/g, '$1');
}

/** Markdown's escapes (`\|`, `\[`) undone. */
const plain = text => text.replace(/\\([\\|[\]*_`<>])/g, '$1');

function problemsOf(document) {
  const problems = [];
  const lines = readFileSync(path.join(folder, document), 'utf8').split('\n');
  for (const [index, line] of lines.entries())
    for (const [, text, target] of line.matchAll(link)) {
      const source = sourceOf(path.resolve(folder, target));
      const where = `docs/reference/${document}:${index + 1}`;
      if (source === undefined) problems.push(`${where}: ${target} does not exist`);
      else if (!["'", '"', '`'].some(quote => source.includes(`${quote}${plain(text)}${quote}`)))
        problems.push(`${where}: ${target} has no test "${plain(text)}"`);
    }
  return problems;
}

const documents = existsSync(folder) ? readdirSync(folder).filter(name => name.endsWith('.md')) : [];
const problems = documents.flatMap(problemsOf);
for (const problem of problems) console.error(problem);
console.log(`${documents.length} documents checked, ${problems.length} problems`);
process.exit(problems.length === 0 ? 0 : 1);
