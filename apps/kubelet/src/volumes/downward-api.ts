import { writeAtomically } from './atomic-writer';
import { makeVolumeDirectory } from './directory';
import { downwardFiles } from './files';
import { fsGroupOf, type VolumePlugin } from './plugin';

export const downwardApi: VolumePlugin = {
  name: 'downward-api',
  supports: ({ volume }) => volume.downwardAPI !== undefined,
  inMemory: true,
  refreshes: true,
  async setUp(context) {
    const { items = [], defaultMode = 0o644 } = context.volume.downwardAPI ?? {};
    await makeVolumeDirectory(context.directory, fsGroupOf(context.pod));
    const payload = downwardFiles(items, defaultMode, context);
    await writeAtomically(context.directory, payload, fsGroupOf(context.pod));
    return context.directory;
  },
  tearDown: async () => undefined,
};
