import http from 'node:http';
import { silentLogger } from '@naru/foundation';
import { eventually, freePort } from '@naru/testing';
import { HealthCheckServers, type ServiceHealth } from './health-check-servers';

describe('the health check node port', () => {
  let healthy = true;
  const problems: string[] = [];
  const servers = new HealthCheckServers({
    logger: silentLogger,
    isHealthy: () => healthy,
    onProblem: (_, message) => problems.push(message),
    host: '127.0.0.1',
  });
  afterAll(() => servers.stop());

  const web = (port: number, localEndpoints: number): ServiceHealth => ({
    service: { metadata: { namespace: 'default', name: 'web' } },
    port,
    localEndpoints,
  });

  test('says 200 with local endpoints and 503 without, or when the proxy is not healthy', async () => {
    const port = await freePort();
    await servers.sync([web(port, 2)]);
    const ask = (): Promise<Response> => fetch(`http://127.0.0.1:${port}/healthz`);
    const answer = await ask();
    expect(answer.status).toBe(200);
    expect(answer.headers.get('X-Load-Balancing-Endpoint-Weight')).toBe('2');
    expect(await answer.json()).toEqual({
      service: { namespace: 'default', name: 'web' },
      localEndpoints: 2,
      serviceProxyHealthy: true,
    });
    await servers.sync([web(port, 0)]);
    expect((await ask()).status).toBe(503);
    await servers.sync([web(port, 1)]);
    healthy = false;
    expect((await ask()).status).toBe(503);
    healthy = true;
    await servers.sync([]);
    await expect(ask()).rejects.toThrow();
  });

  test('a port that somebody else has is named, and served as soon as it is free', async () => {
    // Not one of those that the kernel gives to others as soon as it is free.
    const port = await freePort();
    const other = http.createServer().listen(port, '127.0.0.1');
    await new Promise(resolve => other.once('listening', resolve));
    await servers.sync([web(port, 1)]);
    expect(problems).toEqual([expect.stringContaining(`node port ${port} of the health check cannot be served`)]);
    await new Promise(resolve => other.close(resolve));
    await eventually(async () => expect((await fetch(`http://127.0.0.1:${port}/`)).status).toBe(200));
    expect(problems).toHaveLength(1);
  });
});
