import http from 'node:http';
import net, { type AddressInfo } from 'node:net';
import { Server, ServerCredentials } from '@grpc/grpc-js';
import type { Probe } from '@naru/api';
import { systemClock, type Clock } from '@naru/foundation';
import { ProbeWorker } from './probe-worker';
import { runProbe, type ProbeTarget } from './prober';

/** So long is an answer waited for that is to come. */
const timeoutSeconds = 60;

const closers: (() => void)[] = [];

afterEach(() => {
  for (const close of closers.splice(0)) close();
});

async function serve(handler: http.RequestListener): Promise<number> {
  const server = http.createServer(handler);
  closers.push(() => server.close().closeAllConnections());
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

const never = { execSync: () => Promise.reject(new Error('no exec here')) };
const target = (port?: number): ProbeTarget => ({
  container: { name: 'c', ...(port ? { ports: [{ name: 'web', containerPort: port }] } : {}) },
  containerId: 'id',
  podIp: '127.0.0.1',
});

describe('runProbe over HTTP', () => {
  it('takes 2xx and 3xx as success and names other codes', async () => {
    const seen: http.IncomingHttpHeaders[] = [];
    const port = await serve((request, response) => {
      seen.push(request.headers);
      if (request.url === '/switch') response.writeHead(101, { connection: 'Upgrade', upgrade: 'other' }).end();
      else response.writeHead(request.url === '/ok' ? 204 : 503).end();
    });
    const probe = (path: string): Probe => ({
      httpGet: { path, port: 'web' as never, httpHeaders: [{ name: 'X-A', value: 'b' }] },
      timeoutSeconds,
    });
    expect(await runProbe(probe('/ok'), target(port), never)).toMatchObject({ success: true });
    expect(await runProbe(probe('/bad'), target(port), never)).toEqual({
      success: false,
      output: 'HTTP probe failed with statuscode: 503',
    });
    expect((await runProbe(probe('/switch'), target(port), never))?.output).toBe(
      'HTTP probe failed with statuscode: 101',
    );
    expect(seen[0]).toMatchObject({ 'x-a': 'b', 'user-agent': 'kube-probe/1.36' });
  });

  it('follows redirects on the same host only', async () => {
    const port = await serve((request, response) => {
      if (request.url === '/') response.writeHead(302, { location: '/next' }).end();
      else if (request.url === '/away') response.writeHead(302, { location: 'http://192.0.2.1/' }).end();
      else response.writeHead(500).end();
    });
    expect(await runProbe({ httpGet: { port }, timeoutSeconds }, target(), never)).toMatchObject({ success: false });
    expect(await runProbe({ httpGet: { port, path: '/away' }, timeoutSeconds }, target(), never)).toMatchObject({
      success: true,
    });
  });

  it('says in familiar words why it got no answer', async () => {
    const port = await serve(() => undefined);
    const timedOut = await runProbe({ httpGet: { port }, timeoutSeconds: 0.05 }, target(), never);
    expect(timedOut?.output).toContain('context deadline exceeded');
    const refused = await runProbe({ httpGet: { port: 1 }, timeoutSeconds }, target(), never);
    expect(refused?.output).toBe('Get "http://127.0.0.1:1/": dial tcp 127.0.0.1:1: connect: connection refused');
    const nameless = await runProbe({ httpGet: { port: 'zzz' as never } }, target(), never);
    expect(nameless?.output).toContain("couldn't find port: zzz");
  });
});

describe('runProbe over TCP, exec and gRPC', () => {
  it('connects', async () => {
    const server = net.createServer(socket => socket.end());
    closers.push(() => server.close());
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    expect(await runProbe({ tcpSocket: { port }, timeoutSeconds }, target(), never)).toMatchObject({ success: true });
    expect(await runProbe({ tcpSocket: { port: 1 } }, target(), never)).toMatchObject({ success: false });
  });

  it('judges a command by its exit code, and nothing when it could not be run', async () => {
    const runtime = { execSync: async () => ({ exitCode: 3, output: 'no' }) };
    const probe = { exec: { command: ['x'] } };
    expect(await runProbe(probe, target(), runtime)).toEqual({ success: false, output: 'no' });
    expect(await runProbe(probe, target(), never)).toBeUndefined();
  });

  it('asks for the health of a gRPC service', async () => {
    const server = new Server();
    server.addService(
      {
        check: {
          path: '/grpc.health.v1.Health/Check',
          requestStream: false,
          responseStream: false,
          requestSerialize: (value: Buffer) => value,
          requestDeserialize: (value: Buffer) => value,
          responseSerialize: (value: Buffer) => value,
          responseDeserialize: (value: Buffer) => value,
        },
      },
      {
        check: (call: { request: Buffer }, callback: (error: null, answer: Buffer) => void) =>
          callback(null, Buffer.from([0x08, call.request.toString('utf8', 2) === 'good' ? 1 : 2])),
      },
    );
    const port = await new Promise<number>((resolve, reject) =>
      server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
        error ? reject(error) : resolve(bound),
      ),
    );
    closers.push(() => server.forceShutdown());
    expect(await runProbe({ grpc: { port, service: 'good' }, timeoutSeconds }, target(), never)).toMatchObject({
      success: true,
    });
    expect(await runProbe({ grpc: { port, service: 'bad' }, timeoutSeconds }, target(), never)).toMatchObject({
      success: false,
    });
  });
});

/** A clock whose sleeps end when the test says so. */
function steppingClock(): Clock & { step: () => Promise<void> } {
  let wake: (() => void) | undefined;
  return {
    now: () => 0,
    sleep: (_ms, signal) =>
      new Promise((resolve, reject) => {
        wake = resolve;
        signal?.addEventListener('abort', () => reject(signal.reason as Error));
      }),
    after: () => () => undefined,
    async step() {
      wake?.();
      await systemClock.sleep(1);
    },
  };
}

describe('ProbeWorker', () => {
  async function run(
    type: 'liveness' | 'readiness' | 'startup',
    probe: Probe,
    outcomes: boolean[],
  ): Promise<boolean[]> {
    const clock = steppingClock();
    const results: boolean[] = [];
    const queue = [...outcomes];
    const worker = new ProbeWorker({
      type,
      probe,
      startedAt: 0,
      initial: undefined,
      clock,
      run: async () => ({ success: queue.shift() ?? true, output: '' }),
      mayRun: () => true,
      onResult: result => results.push(result),
      onFailure: () => undefined,
    });
    for (let i = 0; i < outcomes.length; i++) await clock.step();
    worker.stop();
    return results;
  }

  it('reports after the thresholds only', async () => {
    const probe = { failureThreshold: 2, successThreshold: 2 };
    expect(await run('readiness', probe, [true, true, false, true, false, false, true, true])).toEqual([
      true,
      false,
      true,
    ]);
  });

  it('ends after a startup that succeeded and after a liveness that failed', async () => {
    expect(await run('startup', { failureThreshold: 3 }, [false, false, true, false, false, false])).toEqual([true]);
    expect(await run('liveness', { failureThreshold: 1 }, [true, false, true])).toEqual([true, false]);
  });
});
