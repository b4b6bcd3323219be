import { spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { build } from 'esbuild';

const root = path.resolve(__dirname, '../../../..');

/** Processes of other apps as they are shipped: whole programs, each in one file. */
export class ShippedPrograms {
  /** All that the processes have printed. */
  log = '';
  private readonly children = new Set<ChildProcess>();

  private constructor(private readonly folder: string) {}

  static async build(...names: readonly string[]): Promise<ShippedPrograms> {
    const folder = path.join(root, 'dist/tests', `programs-${process.pid}-${names.length}`);
    mkdirSync(folder, { recursive: true });
    await build({
      entryPoints: names.map(name => ({ in: path.join(root, 'apps', name, 'src/main.ts'), out: name })),
      outdir: folder,
      bundle: true,
      platform: 'node',
      format: 'cjs',
      external: ['lmdb', 'pino-pretty'],
      define: { NARU_VERSION: '"test"' },
      logLevel: 'silent',
    });
    return new ShippedPrograms(folder);
  }

  start(name: string, flags: readonly string[]): ChildProcess {
    const child = spawn(process.execPath, [path.join(this.folder, `${name}.js`), ...flags]);
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (part: Buffer) => (this.log += part.toString()));
    this.children.add(child);
    return child;
  }

  /** kill -9 of those that still run. */
  close(): void {
    for (const child of this.children) child.kill('SIGKILL');
    rmSync(this.folder, { recursive: true, force: true });
  }
}
