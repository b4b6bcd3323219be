import { writeAtomically, type Payload } from './atomic-writer';
import { makeVolumeDirectory } from './directory';
import { configMapFiles, downwardFiles, secretFiles, tokenFile, type ProjectedSource } from './files';
import { fsGroupOf, type VolumeContext, type VolumePlugin } from './plugin';

async function collect(source: ProjectedSource, mode: number, context: VolumeContext): Promise<Payload> {
  if (source.configMap) return configMapFiles(source.configMap, mode, context);
  if (source.secret) return secretFiles(source.secret, mode, context);
  if (source.downwardAPI) return downwardFiles(source.downwardAPI.items ?? [], mode, context);
  if (source.serviceAccountToken) return tokenFile(source.serviceAccountToken, mode, context);
  // One of a kind that the api-server has taken out.
  if (Object.keys(source).length === 0) return new Map();
  throw new Error('unsupported source in a projected volume');
}

/** Several sources in one directory; a later source wins over an earlier one. */
export const projected: VolumePlugin = {
  name: 'projected',
  supports: ({ volume }) => volume.projected !== undefined,
  inMemory: true,
  refreshes: true,
  async setUp(context) {
    const { sources = [], defaultMode = 0o644 } = context.volume.projected ?? {};
    const parts = await Promise.all(sources.map(source => collect(source, defaultMode, context)));
    await makeVolumeDirectory(context.directory, fsGroupOf(context.pod));
    await writeAtomically(context.directory, new Map(parts.flatMap(part => [...part])), fsGroupOf(context.pod));
    return context.directory;
  },
  tearDown: async () => undefined,
};
