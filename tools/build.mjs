// Bundles one app into one file, dist/apps/<app>/main.js, so that a process starts by reading one file.
// Native modules stay outside the bundle and are found in node_modules at run time.
// Run by `nx build <app>` with the app's folder as working directory.
import { build } from 'esbuild';
import path from 'node:path';
import fs from 'node:fs';

const app = path.basename(process.cwd());
const root = path.resolve(import.meta.dirname, '..');
const version = JSON.parse(fs.readFileSync(path.join(root, 'package.json'), 'utf8')).version;

await build({
  entryPoints: [path.join('src', 'main.ts')],
  outfile: path.join(root, 'dist', 'apps', app, 'main.js'),
  bundle: true,
  platform: 'node',
  target: 'node20',
  format: 'cjs',
  sourcemap: 'linked',
  legalComments: 'none',
  minifySyntax: true,
  // The source stays in memory as one string, with comments that are not ASCII as one of two bytes a character: 3 to 5 MB
  // a process. Lines stay short enough for stack traces.
  minifyWhitespace: true,
  lineLimit: 120,
  // What gRPC never asks for here (channelz and its kin as services of their own) would only take memory.
  external: ['lmdb', 'pino-pretty', '@grpc/proto-loader'],
  define: { NARU_VERSION: JSON.stringify(version) },
  logLevel: 'warning',
});
