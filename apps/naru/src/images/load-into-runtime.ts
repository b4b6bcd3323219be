import type { images as runtimeImages } from '@naru/proto';

/** Unpacking a large image onto a slow disk takes its time. */
export const loadTimeoutMs = 300_000;

/** Has a runtime of ours take the images of an archive into its store. Answers their names. */
export async function loadIntoRuntime(socket: string, file: string): Promise<string[]> {
  // Loaded here, because no other command has a use for them and every command would pay for it.
  const { Metadata, credentials } = await import('@grpc/grpc-js');
  const { images } = await import('@naru/proto');
  const client = new images.ImagesClient(`unix:${socket}`, credentials.createInsecure());
  const loaded = await new Promise<runtimeImages.LoadedImage[]>((resolve, reject) => {
    client.load(
      { path: file, name: '' },
      new Metadata(),
      { deadline: Date.now() + loadTimeoutMs },
      (error, response) => {
        client.close();
        if (error) reject(new Error(`${file}: ${error.details || error.message}`));
        else resolve(response.images);
      },
    );
  });
  return loaded.map(({ id, references }) => references.join(', ') || id);
}
