import http from 'node:http';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import { pods, type Container, type Pod } from '@naru/api';
import { StatusError } from '@naru/foundation';
import { eventually, MemoryObjects } from '@naru/testing';
import type { Kubelet } from '../kubelet';
import { TestNode, forever, nodeName, shell, whyNot } from './test-node';

const skipped = whyNot();
const withRoot = skipped ? describe.skip : describe;
if (skipped) process.stdout.write(`static pod tests are skipped: ${skipped}\n`);

const manifest = (name: string): Pod => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name },
  spec: { terminationGracePeriodSeconds: 1, containers: [shell(forever)] },
});

/** An api-server that nobody reaches. */
class AwayApi extends MemoryObjects {
  override get = (): Promise<never> => this.away();
  override list = (): Promise<never> => this.away();
  override create = (): Promise<never> => this.away();
  override patch = (): Promise<never> => this.away();
  override delete = (): Promise<never> => this.away();

  private async away(): Promise<never> {
    throw new StatusError('ServiceUnavailable', 'connection refused');
  }
}

withRoot('static pods', () => {
  let node: TestNode;
  let kubelet: Kubelet | undefined;
  let server: http.Server;
  let answer: { code: number; body: unknown } = { code: 200, body: manifest('one') };
  const seen: (string | undefined)[] = [];

  beforeAll(async () => {
    node = await TestNode.create();
    server = http.createServer((request, response) => {
      seen.push(request.headers['x-node']?.toString());
      response.writeHead(answer.code).end(JSON.stringify(answer.body));
    });
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  });

  afterEach(async () => {
    if (kubelet) await node.stopKubelet(kubelet);
    kubelet = undefined;
  });

  afterAll(async () => {
    server?.close();
    await node?.close();
  });

  const flags = (): string[] => [
    `--manifest-url=http://127.0.0.1:${(server.address() as AddressInfo).port}/pods`,
    '--manifest-url-header=X-Node:me',
  ];
  const running = (name: string): boolean =>
    kubelet?.workers
      .list()
      .some(
        ({ current, lastRuntime }) =>
          current.metadata.name === `${name}-${nodeName}` &&
          lastRuntime.containers.some(({ phase }) => phase === 'running'),
      ) ?? false;

  it('come from an address, follow what it says, and stay while it says nothing', async () => {
    kubelet = await node.startKubelet(flags());
    const mirror = await node.untilReady(`one-${nodeName}`);
    expect(mirror.metadata.annotations?.['kubernetes.io/config.source']).toBe('http');
    expect(seen).toContain('me');
    answer = { code: 200, body: { kind: 'PodList', apiVersion: 'v1', items: [manifest('one'), manifest('two')] } };
    await node.untilReady(`two-${nodeName}`);
    const asked = seen.length;
    answer = { code: 500, body: {} };
    await eventually(() => expect(seen.length).toBeGreaterThan(asked + 3));
    expect(running('two')).toBe(true);
    answer = { code: 200, body: manifest('two') };
    await eventually(async () => {
      const { items } = await node.api.list(pods, { namespace: 'default' });
      expect(items.map(({ metadata }) => metadata.name)).toEqual([`two-${nodeName}`]);
    });
  });

  it('run when no api-server is there', async () => {
    answer = { code: 200, body: manifest('alone') };
    kubelet = await node.startKubelet(flags(), new AwayApi());
    await eventually(() => expect(running('alone')).toBe(true));
  });

  it('push out ordinary pods when there is no room for them, and nothing as important as they are', async () => {
    answer = { code: 200, body: { kind: 'PodList', apiVersion: 'v1', items: [] } };
    kubelet = await node.startKubelet(flags());
    const asking = (milli: number): Container => shell(forever, { resources: { requests: { cpu: `${milli}m` } } });
    const all = os.cpus().length * 1_000;
    await node.create('ordinary', { containers: [asking(all - 400)] });
    await node.create('important', { priority: 2_000_001_000, containers: [asking(200)] });
    await Promise.all(['ordinary', 'important'].map(name => node.untilReady(name)));
    const pushing = manifest('pushing');
    answer = { code: 200, body: { ...pushing, spec: { ...pushing.spec, containers: [asking(500)] } } };
    await eventually(async () => {
      const { status } = await node.get('ordinary');
      const message = 'Preempted in order to admit critical pod';
      expect(status).toMatchObject({ phase: 'Failed', reason: 'Preempting', message });
      expect(status?.conditions).toContainEqual(
        expect.objectContaining({ type: 'DisruptionTarget', reason: 'TerminationByKubelet' }),
      );
    });
    await node.untilReady(`pushing-${nodeName}`);
    await eventually(async () =>
      expect(await node.events('ordinary')).toContainEqual(expect.objectContaining({ reason: 'Preempting' })),
    );
    await node.create('huge', { priority: 2_000_000_000, containers: [asking(all)] });
    await eventually(async () =>
      expect((await node.get('huge')).status).toMatchObject({ phase: 'Failed', reason: 'UnexpectedAdmissionError' }),
    );
    expect((await node.get('important')).status?.phase).toBe('Running');
  });
});
