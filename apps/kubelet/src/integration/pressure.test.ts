import fs from 'node:fs';
import { coreEvents, nodes } from '@naru/api';
import { busyboxImage, eventually } from '@naru/testing';
import { readMachine } from '../node/machine';
import { FaultyRegistry } from './faulty-registry';
import { TestNode, forever, image, nodeName, shell, whyNot } from './test-node';

const withRoot = whyNot() ? describe.skip : describe;
const mi = 2 ** 20;

withRoot('a node that runs out of', () => {
  let node: TestNode;
  let registry: FaultyRegistry;

  beforeAll(async () => {
    node = await TestNode.create('naru', { imageBytes: 64 * mi });
    registry = await FaultyRegistry.serve(node.file('registry'), busyboxImage(), node.registryAddress);
  });

  afterAll(async () => {
    await registry?.close();
    await node?.close();
  });

  const configured = (...lines: string[]): string => {
    const header = ['apiVersion: kubelet.config.k8s.io/v1beta1', 'kind: KubeletConfiguration'];
    fs.writeFileSync(node.file('config.yaml'), [...header, ...lines, ''].join('\n'));
    return `--config=${node.file('config.yaml')}`;
  };
  const imagesOfNode = async (): Promise<string[]> =>
    ((await node.api.get(nodes, { name: nodeName })).status?.images ?? []).flatMap(({ names = [] }) => names);

  it('room for images removes those that nobody uses, and no other', async () => {
    const first = await node.startKubelet();
    const unused = registry.image('none');
    await node.create('user', { containers: [shell(forever)] });
    await node.create('once', { containers: [shell(forever, { image: unused })] });
    await Promise.all([node.untilReady('user'), node.untilReady('once')]);
    await eventually(async () => expect(await imagesOfNode()).toEqual(expect.arrayContaining([image, unused])));
    await node.delete('once');
    await node.stopKubelet(first);
    const { bavail, bsize } = fs.statfsSync(node.file('images'));
    const ballast = node.file('images/ballast');
    fs.writeFileSync(ballast, Buffer.alloc(bavail * bsize - 4 * mi));
    const kubelet = await node.startKubelet([
      configured('imageGCHighThresholdPercent: 85', 'imageGCLowThresholdPercent: 80', 'imageMinimumGCAge: 0s'),
    ]);
    await eventually(async () => {
      const names = await imagesOfNode();
      expect(names).toContain(image);
      expect(names).not.toContain(unused);
    });
    // Most of it is a layer of the image in use: this has not made room enough, and the node says so.
    await eventually(async () => {
      const { items } = await node.api.list(coreEvents, {});
      expect(items.map(({ reason }) => reason)).toContain('FreeDiskSpaceFailed');
    });
    expect((await node.get('user')).status?.phase).toBe('Running');
    fs.rmSync(ballast);
    await node.delete('user');
    await node.stopKubelet(kubelet);
  });

  it('process ids evicts the pod that has most of them', async () => {
    const { maxPids, pids } = await readMachine('/');
    // What others on this machine start and end meanwhile is less than this.
    const room = 900;
    const kubelet = await node.startKubelet([
      configured('evictionPressureTransitionPeriod: 1s'),
      `--eviction-hard=pid.available<${maxPids - pids - room}`,
    ]);
    await node.create('modest', { containers: [shell(forever)] });
    await node.untilReady('modest');
    // It passes soon after its cause.
    const pressed = eventually(() => expect(kubelet.pressures).toContain('PIDPressure'));
    pressed.catch(() => undefined);
    await node.create('crowd', {
      containers: [shell(`i=0; while [ $i -lt 1800 ]; do sleep 3600 & i=$((i+1)); done; ${forever}`)],
    });
    const pod = await eventually(async () => {
      const found = await node.get('crowd');
      expect(found.status?.phase).toBe('Failed');
      return found;
    });
    expect(pod.status).toMatchObject({
      reason: 'Evicted',
      message: expect.stringMatching(
        /^The node was low on resource: pids\. Threshold quantity: \d+, available: \d+\. /,
      ),
    });
    await pressed;
    expect((await node.get('modest')).status?.phase).toBe('Running');
    // Its processes end with it.
    await eventually(() => expect(kubelet.pressures).toEqual([]));
    for (const name of ['crowd', 'modest']) await node.delete(name);
    await node.stopKubelet(kubelet);
  });
});
