import { writeAtomically } from './atomic-writer';
import { makeVolumeDirectory } from './directory';
import { secretFiles } from './files';
import { fsGroupOf, type VolumePlugin } from './plugin';

export const secret: VolumePlugin = {
  name: 'secret',
  supports: ({ volume }) => volume.secret !== undefined,
  inMemory: true,
  refreshes: true,
  async setUp(context) {
    const { secretName, items, optional, defaultMode = 0o644 } = context.volume.secret ?? {};
    const payload = await secretFiles({ name: secretName, items, optional }, defaultMode, context);
    await makeVolumeDirectory(context.directory, fsGroupOf(context.pod));
    await writeAtomically(context.directory, payload, fsGroupOf(context.pod));
    return context.directory;
  },
  tearDown: async () => undefined,
};
