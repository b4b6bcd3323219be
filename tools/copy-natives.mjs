// Copies the npm packages that the bundles load at run time (native modules cannot be bundled), with all that they depend
// on, into DEST/node_modules. Usage: node tools/copy-natives.mjs DEST. Used by the Dockerfile.
import fs from 'node:fs';
import path from 'node:path';

const root = path.resolve(import.meta.dirname, '..');
const destination = path.join(process.argv[2], 'node_modules');
/** As in build.mjs. */
const natives = ['lmdb'];

const seen = new Set();
function copy(name) {
  if (seen.has(name)) return;
  seen.add(name);
  const from = path.join(root, 'node_modules', name);
  // Optional dependencies for other platforms are not installed.
  if (!fs.existsSync(from)) return;
  fs.cpSync(from, path.join(destination, name), { recursive: true, dereference: true });
  const { dependencies = {}, optionalDependencies = {} } = JSON.parse(
    fs.readFileSync(path.join(from, 'package.json'), 'utf8'),
  );
  for (const dependency of Object.keys({ ...dependencies, ...optionalDependencies })) copy(dependency);
}
natives.forEach(copy);
console.log(`copied ${[...seen].length} packages`);
