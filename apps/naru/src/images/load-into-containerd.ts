import { statSync } from 'node:fs';
import { execute } from '../execute';
import { waitFor } from '../wait';
import { loadTimeoutMs } from './load-into-runtime';

/** Whether the CRI of containerd knows an image; it hears of those that are imported only a moment later. */
async function isKnown(socket: string, name: string): Promise<boolean> {
  const { credentials } = await import('@grpc/grpc-js');
  const { cri } = await import('@naru/proto');
  const client = new cri.ImageServiceClient(`unix:${socket}`, credentials.createInsecure());
  return new Promise((resolve, reject) => {
    client.imageStatus(cri.ImageStatusRequest.fromPartial({ image: { image: name } }), (error, answer) => {
      client.close();
      if (error) reject(error);
      else resolve(answer.image !== undefined);
    });
  });
}

/** Has a containerd take the images of an archive, compressed or not, or of a folder with an OCI layout, for the kubelet. Answers their names. */
export async function loadIntoContainerd(socket: string, file: string): Promise<string[]> {
  const control = ['ctr', '--address', socket, '--namespace', 'k8s.io', 'images', 'import'];
  const read = statSync(file).isDirectory() ? 'tar --create --directory="$file" .' : 'gzip -cdf "$file"';
  const script = `file=$1; shift; ${read} | "$@" -`;
  const output = await execute(['sh', '-c', script, 'sh', file, ...control], { timeoutMs: loadTimeoutMs });
  const names = [...output.matchAll(/^unpacking (\S+) \(/gm)].map(([, name = '']) => name);
  if (names.length === 0) throw new Error(`${file}: ctr has found no image in it: ${output.trim()}`);
  for (const name of names)
    await waitFor(`containerd to know ${name}`, () => isKnown(socket, name), { timeoutMs: 30_000 });
  return names;
}
