import { writeAtomically } from './atomic-writer';
import { configMapFiles } from './files';
import { makeVolumeDirectory } from './directory';
import { fsGroupOf, type VolumePlugin } from './plugin';

export const configMap: VolumePlugin = {
  name: 'configmap',
  supports: ({ volume }) => volume.configMap !== undefined,
  inMemory: false,
  refreshes: true,
  async setUp(context) {
    const source = context.volume.configMap ?? {};
    const payload = await configMapFiles(source, source.defaultMode ?? 0o644, context);
    await makeVolumeDirectory(context.directory, fsGroupOf(context.pod));
    await writeAtomically(context.directory, payload, fsGroupOf(context.pod));
    return context.directory;
  },
  tearDown: async () => undefined,
};
