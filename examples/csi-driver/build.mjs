// Bundles the driver into one file, dist/examples/csi-driver/driver.js.
import { build } from 'esbuild';
import { renameSync } from 'node:fs';
import path from 'node:path';

const here = import.meta.dirname;
const outfile = path.join(here, '..', '..', 'dist', 'examples', 'csi-driver', 'driver.js');
// It may be running: several tests build it, and what runs is whole all the time.
const unfinished = `${outfile}.${process.pid}`;
await build({
  entryPoints: [path.join(here, 'driver.ts')],
  outfile: unfinished,
  bundle: true,
  platform: 'node',
  target: 'node20',
  format: 'cjs',
  legalComments: 'none',
  logLevel: 'warning',
});
renameSync(unfinished, outfile);
