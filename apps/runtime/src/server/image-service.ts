import fs from 'node:fs';
import { StatusError, type Clock, type Logger } from '@naru/foundation';
import { cri, images as own } from '@naru/proto';
import { loadArchive } from '../images/archive-loader';
import type { ImagePuller } from '../images/image-puller';
import type { ImageStore, NamedImage } from '../images/image-store';
import { handlers } from './grpc-handlers';
import { imageView } from './views';

export interface ImageServiceDeps {
  store: ImageStore;
  puller: ImagePuller;
  /** Where containers' own files are, if that is another place than the images'. */
  root: string;
  clock: Clock;
  logger: Logger;
}

/** runtime.v1.ImageService. */
export function imageService(deps: ImageServiceDeps): cri.ImageServiceServer {
  const { store, puller, clock } = deps;
  const { unary, stream } = handlers(deps.logger);
  const list = (filter: cri.ImageFilter | undefined): NamedImage[] => {
    const name = filter?.image?.image;
    if (!name) return store.list();
    const found = store.find(name);
    return found ? [found] : [];
  };
  return {
    pullImage: unary('PullImage', async request => {
      const name = request.image?.image;
      if (!name) throw new StatusError('BadRequest', 'the request names no image');
      return { imageRef: await puller.pull(name, request.auth) };
    }),
    listImages: unary('ListImages', request => ({ images: list(request.filter).map(imageView) })),
    streamImages: stream('StreamImages', async function* (request) {
      yield await Promise.resolve({ images: list(request.filter).map(imageView) });
    }),
    imageStatus: unary('ImageStatus', request => {
      const image = store.find(request.image?.image ?? '');
      return {
        image: image && imageView(image),
        info: image && request.verbose ? { info: JSON.stringify({ imageSpec: image.config }) } : {},
      };
    }),
    removeImage: unary('RemoveImage', async request => {
      await store.remove(request.image?.image ?? '');
      return {};
    }),
    imageFsInfo: unary('ImageFsInfo', () => {
      const layers = store.layers.list().map(diffId => store.layers.size(diffId));
      const usage = (mountpoint: string, bytes: number, inodes: number): cri.FilesystemUsage => ({
        timestamp: BigInt(clock.now()) * 1_000_000n,
        fsId: { mountpoint },
        usedBytes: { value: BigInt(bytes) },
        inodesUsed: { value: BigInt(inodes) },
      });
      const sum = (key: 'bytes' | 'inodes'): number => layers.reduce((total, layer) => total + layer[key], 0);
      const sameFilesystem = fs.statSync(deps.root).dev === fs.statSync(store.directory).dev;
      return {
        imageFilesystems: [usage(store.directory, sum('bytes'), sum('inodes'))],
        containerFilesystems: sameFilesystem ? [] : [usage(deps.root, 0, 0)],
      };
    }),
  };
}

/** naru.runtime.v1.Images. */
export function loadService(deps: { store: ImageStore; logger: Logger }): own.ImagesServer {
  const { unary } = handlers(deps.logger);
  return {
    load: unary('Load', async request => ({ images: await loadArchive(deps.store, request.path, request.name) })),
  };
}
