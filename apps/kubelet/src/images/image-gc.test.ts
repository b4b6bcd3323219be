import type { Node, Pod } from '@naru/api';
import { silentLogger, systemClock } from '@naru/foundation';
import { cri } from '@naru/proto';
import type { PodEvents } from '../pods/pod-events';
import { ImageGc, type ImageGcDeps } from './image-gc';

const image = (id: string, size: number, more: Partial<cri.Image> = {}): cri.Image =>
  cri.Image.fromPartial({
    id: `sha256:${id}`,
    repoTags: [`docker.io/library/${id}:latest`],
    size: BigInt(size),
    ...more,
  });

class Store {
  now = 1_000_000;
  images: cri.Image[] = [];
  containers: cri.Container[] = [];
  pods: Pod[] = [];
  /** Bytes of the disk that are taken by other things. */
  others = 0;
  readonly removed: string[] = [];
  readonly events: string[] = [];
  readonly counted: string[] = [];

  gc(more: Partial<ImageGcDeps> = {}): ImageGc {
    const node: Node = { metadata: { name: 'n' } };
    return new ImageGc({
      runtime: {
        listImages: () => Promise.resolve([...this.images]),
        listContainers: () => Promise.resolve(this.containers),
        removeImage: id => {
          this.images = this.images.filter(each => each.id !== id);
          this.removed.push(id.replace('sha256:', ''));
          return Promise.resolve();
        },
      },
      imageFs: () => {
        const used = this.others + this.images.reduce((sum, { size }) => sum + Number(size), 0);
        return Promise.resolve({ time: '', capacityBytes: 1_000, availableBytes: 1_000 - used });
      },
      pods: () => this.pods,
      sandboxImage: 'docker.io/library/pause:latest',
      node: () => node,
      events: { node: (_: Node, __: string, reason: string) => this.events.push(reason) } as unknown as PodEvents,
      clock: { ...systemClock, now: () => this.now },
      logger: silentLogger,
      onCollected: reason => this.counted.push(reason),
      highPercent: 85,
      lowPercent: 80,
      minimumAgeMs: 120_000,
      maximumAgeMs: 0,
      ...more,
    });
  }
}

describe('the collection of images', () => {
  it('removes nothing below the high mark', async () => {
    const store = new Store();
    store.images = [image('a', 800)];
    await store.gc().collect();
    expect(store.removed).toEqual([]);
  });

  it('removes what was unused longest until the disk is below the low mark', async () => {
    const store = new Store();
    const gc = store.gc();
    store.images = [image('old', 100), image('recent', 100), image('used', 100)];
    const container = (id: string): cri.Container => cri.Container.fromPartial({ imageId: `sha256:${id}` });
    store.containers = [container('recent'), container('used')];
    await gc.collect();
    store.containers = [container('used')];
    store.now += 600_000;
    store.others = 610;
    await gc.collect();
    expect(store.removed).toEqual(['old', 'recent']);
    expect(store.counted).toEqual(['space', 'space']);
  });

  it('never removes pinned images, that of sandboxes, those of containers and those that a pod waits for', async () => {
    const store = new Store();
    store.others = 900;
    store.images = [
      image('pinned', 20, { pinned: true }),
      image('running', 20),
      image('wanted', 20),
      image('pause', 20),
    ];
    store.containers = [cri.Container.fromPartial({ imageId: 'sha256:running' })];
    store.pods = [{ spec: { containers: [{ name: 'c', image: 'wanted' }] } }];
    await store.gc().collect();
    expect(store.removed).toEqual([]);
    expect(store.events).toEqual(['FreeDiskSpaceFailed']);
  });

  it('spares what has come within the minimum age', async () => {
    const store = new Store();
    const gc = store.gc();
    await gc.collect();
    store.others = 880;
    store.images = [image('new', 50)];
    await gc.collect();
    store.now += 60_000;
    await gc.collect();
    expect(store.removed).toEqual([]);
    store.now += 61_000;
    await gc.collect();
    expect(store.removed).toEqual(['new']);
  });

  it('removes what was unused for longer than the maximum age, however empty the disk', async () => {
    const store = new Store();
    const gc = store.gc({ maximumAgeMs: 3_600_000 });
    await gc.collect();
    store.images = [image('a', 1), image('pinned', 1, { pinned: true })];
    await gc.collect();
    store.now += 3_500_000;
    await gc.collect();
    expect(store.removed).toEqual([]);
    store.now += 200_000;
    await gc.collect();
    expect(store.removed).toEqual(['a']);
    expect(store.counted).toEqual(['age']);
  });
});
