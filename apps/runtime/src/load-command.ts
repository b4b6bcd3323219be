import { parseFlags, UsageError } from '@naru/foundation';
import { loadArchive } from './images/archive-loader';
import { ImageStore } from './images/image-store';

const specs = {
  'image-store': { description: 'where the images are kept', type: 'string', required: true },
  name: { description: 'the reference for an image that the archive gives no name', type: 'string', default: '' },
} as const;

/** `load --image-store DIR [--name REFERENCE] FILE...`: puts archives into a store without a running runtime. Returns the exit code. */
export async function loadCommand(argv: string[]): Promise<number> {
  try {
    const files = argv.filter(
      (argument, index) =>
        !argument.startsWith('--') && (argv[index - 1]?.includes('=') !== false || !argv[index - 1]?.startsWith('--')),
    );
    const flags = parseFlags(
      specs,
      argv.filter(argument => !files.includes(argument)),
    );
    if (files.length === 0) throw new UsageError('load: name at least one archive');
    const store = new ImageStore(flags['image-store']);
    for (const file of files) {
      for (const image of await loadArchive(store, file, flags.name)) {
        process.stdout.write(`${JSON.stringify(image)}\n`);
      }
    }
    return 0;
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`);
    return error instanceof UsageError ? 2 : 1;
  }
}
