import { execFileSync } from 'node:child_process';
import path from 'node:path';

const repository = path.resolve(__dirname, '../../..');
const built = new Set<string>();

/**
 * An app as it is shipped: one file, of the sources as they are now. Where `./naru test` runs (NARU_BUILT) it is there already, and
 * is left alone, because clusters are running from it.
 */
export function builtProgram(app: string): string {
  if (process.env['NARU_BUILT'] === undefined && !built.has(app)) {
    execFileSync('node', ['../../tools/build.mjs'], { cwd: path.join(repository, 'apps', app) });
    built.add(app);
  }
  return path.join(repository, 'dist/apps', app, 'main.js');
}
