import fs from 'node:fs';
import type { ServerResponse } from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { Metadata, status } from '@grpc/grpc-js';
import { StatusError, systemClock } from '@naru/foundation';
import { CriError } from '../cri/cri-client';
import type { PodWorker } from '../pods/pod-worker';
import { CheckpointRoute } from './checkpoint-route';
import type { Exchange } from './kubelet-server';

const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'kubelet-checkpoints-'));
afterAll(() => fs.rmSync(directory, { recursive: true }));
const checkpoints = path.join(directory, 'checkpoints');

const worker = {
  current: { spec: { containers: [{ name: 'main' }, { name: 'new' }] } },
  lastRuntime: { containers: [{ name: 'main', id: 'id-of-main' }] },
} as unknown as PodWorker;

/** What the route answers, and what the runtime was asked. */
async function ask(place: string, { method = 'POST', failure }: { method?: string; failure?: number } = {}) {
  const asked: unknown[][] = [];
  const route = new CheckpointRoute({
    workers: { find: (namespace, name) => (`${namespace}/${name}` === 'default/pod' ? worker : undefined) },
    runtime: {
      checkpointContainer: async (...request) => {
        asked.push(request);
        if (failure === undefined) return;
        const error = Object.assign(new Error('no'), { code: failure, details: 'no', metadata: new Metadata() });
        throw new CriError('checkpointContainer', error);
      },
    },
    paths: { checkpoints },
    clock: systemClock,
  });
  const url = new URL(place, 'https://node');
  const parts = url.pathname.split('/').slice(2);
  let answer = '';
  const response = { writeHead: () => response, end: (text: string) => (answer = text) };
  const exchange = { request: { method }, response: response as unknown as ServerResponse, url, parts } as Exchange;
  try {
    await route.routes['checkpoint']?.(exchange);
    return { asked, answer };
  } catch (error) {
    const { code, message } = error as StatusError;
    return { asked, answer: `${code} ${message}` };
  }
}

describe('a checkpoint', () => {
  it('is an archive below ROOT/checkpoints, with the names of pod and container and the time', async () => {
    const { asked, answer } = await ask('/checkpoint/default/pod/main?timeout=5&timeout=30');
    const [archive = ''] = (JSON.parse(answer) as { items: string[] }).items;
    expect(path.dirname(archive)).toBe(checkpoints);
    expect(path.basename(archive)).toMatch(/^checkpoint-pod_default-main-\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\.tar$/);
    expect(asked).toEqual([['id-of-main', archive, 30]]);
    expect(fs.statSync(checkpoints).mode & 0o777).toBe(0o700);
  });

  it.each([
    ['/checkpoint/default/other/main', '404 pod does not exist'],
    ['/checkpoint/default/pod/other', '404 container other does not exist'],
    ['/checkpoint/default/pod/main?timeout=soon', '404 cannot parse value of timeout parameter'],
    ['/checkpoint/default/pod/new', '500 checkpointing of default/pod/new failed (container new not found)'],
  ])('of %s is refused: %s', async (place, words) => {
    expect(await ask(place)).toEqual({ asked: [], answer: words });
  });

  it("that the runtime does not make is refused in its words, as upstream's client has them", async () => {
    const place = '/checkpoint/default/pod/main';
    expect((await ask(place, { failure: status.UNIMPLEMENTED })).answer).toBe(
      '500 checkpointing of default/pod/main failed (rpc error: code = Unimplemented desc = no)',
    );
    expect((await ask(place, { failure: status.DEADLINE_EXCEEDED })).answer).toContain('code = DeadlineExceeded desc');
    expect((await ask(place, { method: 'GET' })).answer).toBe('405 405: Method Not Allowed');
  });
});
