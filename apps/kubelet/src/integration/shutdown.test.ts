import fs from 'node:fs/promises';
import path from 'node:path';
import { nodes } from '@naru/api';
import { eventually } from '@naru/testing';
import { TestNode, heeding, nodeName, whyNot } from './test-node';

const skipped = whyNot();
const withRoot = skipped ? describe.skip : describe;
if (skipped) process.stdout.write(`shutdown tests are skipped: ${skipped}\n`);

withRoot('a node that shuts down', () => {
  let node: TestNode;

  beforeAll(async () => {
    node = await TestNode.create();
  });

  afterAll(() => node?.close());

  it('ends its pods in their time, critical ones last, and takes no others', async () => {
    const config = node.file('kubelet.yaml');
    const lines = [
      'apiVersion: kubelet.config.k8s.io/v1beta1',
      'kind: KubeletConfiguration',
      'shutdownGracePeriod: 240s',
      'shutdownGracePeriodCriticalPods: 120s',
    ];
    await fs.writeFile(config, lines.join('\n'));
    const kubelet = await node.startKubelet([`--config=${config}`]);
    const order = node.file('order');
    await fs.mkdir(order);
    const start = (name: string, priority: number) =>
      node.create(name, {
        priority,
        terminationGracePeriodSeconds: 120,
        volumes: [{ name: 'order', hostPath: { path: order } }],
        containers: [
          heeding(`trap "echo ${name} >> /order/ends; exit 0" TERM`, {
            volumeMounts: [{ name: 'order', mountPath: '/order' }],
          }),
        ],
      });
    await start('critical', 2_000_001_000);
    await start('ordinary', 0);
    await Promise.all(['critical', 'ordinary'].map(name => node.untilReady(name)));

    await kubelet.shutDown();
    expect(await fs.readFile(path.join(order, 'ends'), 'utf8')).toBe('ordinary\ncritical\n');
    const message = 'Pod was terminated in response to imminent node shutdown.';
    for (const name of ['ordinary', 'critical']) {
      await eventually(async () => {
        const { status } = await node.get(name);
        expect(status).toMatchObject({ phase: 'Failed', reason: 'Terminated', message });
        expect(status?.conditions).toContainEqual(
          expect.objectContaining({ type: 'DisruptionTarget', reason: 'TerminationByKubelet', message }),
        );
      });
    }
    await eventually(async () => {
      const { status } = await node.api.get(nodes, { name: nodeName });
      const ready = status?.conditions?.find(({ type }) => type === 'Ready');
      expect(ready).toMatchObject({ status: 'False', reason: 'KubeletNotReady', message: 'node is shutting down' });
    });
    await start('late', 0);
    await eventually(async () =>
      expect((await node.get('late')).status).toMatchObject({
        phase: 'Failed',
        reason: 'NodeShutdown',
        message: 'Pod was rejected: Pod was rejected as the node is shutting down.',
      }),
    );
  });
});
