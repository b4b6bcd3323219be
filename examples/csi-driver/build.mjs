// Bundles the driver into one file, dist/examples/csi-driver/driver.js.
import { build } from 'esbuild';
import path from 'node:path';

const here = import.meta.dirname;
await build({
  entryPoints: [path.join(here, 'driver.ts')],
  outfile: path.join(here, '..', '..', 'dist', 'examples', 'csi-driver', 'driver.js'),
  bundle: true,
  platform: 'node',
  target: 'node20',
  format: 'cjs',
  legalComments: 'none',
  logLevel: 'warning',
});
