// Bundles one app into one file, dist/apps/<app>/main.js, so that a process starts by reading one file.
// Native modules stay outside the bundle and are found in node_modules at run time.
// Run by `nx build <app>` with the app's folder as working directory.
import { build } from 'esbuild';
import { execFileSync } from 'node:child_process';
import path from 'node:path';
import fs from 'node:fs';

const app = path.basename(process.cwd());
const root = path.resolve(import.meta.dirname, '..');
const version = JSON.parse(fs.readFileSync(path.join(root, 'package.json'), 'utf8')).version;

/** Empty where the tree is none of git's: in an archive, or while an image is built. */
function git(...args) {
  try {
    return execFileSync('git', args, {
      cwd: root,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
      env: { ...process.env, TZ: 'UTC' },
    }).trim();
  } catch {
    return '';
  }
}
const head = git('log', '-1', '--format=%H %cd', '--date=format-local:%Y-%m-%dT%H:%M:%SZ');
const [commit = '', date = ''] = head.split(' ');
const source = { commit, date, changed: git('status', '--porcelain', '--untracked-files=no') !== '' };

const { outputFiles } = await build({
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
  define: { NARU_VERSION: JSON.stringify(version), NARU_SOURCE: JSON.stringify(source) },
  logLevel: 'warning',
  write: false,
});
// It may be running, or be started now: what is there is whole all the time.
for (const { path: file, contents } of outputFiles) {
  const unfinished = `${file}.${process.pid}`;
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(unfinished, contents);
  fs.renameSync(unfinished, file);
}
