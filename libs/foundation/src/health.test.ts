import { createMetrics, serveHealth } from './health';
import { freePort } from './testing';

test('health answers by check, and ready needs both kinds', async () => {
  let ready = false;
  const server = await serveHealth({
    address: '127.0.0.1:0',
    metrics: createMetrics(),
    live: [{ name: 'ping', check: () => undefined }],
    ready: [
      {
        name: 'synced',
        check: () => {
          if (!ready) throw new Error('not yet');
        },
      },
    ],
  });
  const ask = async (path: string): Promise<[number, string]> => {
    const response = await fetch(`http://127.0.0.1:${server.port}${path}`);
    return [response.status, await response.text()];
  };
  expect(await ask('/healthz')).toEqual([200, 'ok']);
  expect(await ask('/readyz')).toEqual([500, '[+]ping ok\n[-]synced failed: not yet\ncheck failed\n']);
  ready = true;
  expect(await ask('/readyz?verbose')).toEqual([200, '[+]ping ok\n[+]synced ok\nreadyz check passed\n']);
  expect((await ask('/metrics'))[1]).toMatch(/process_resident_memory_bytes/);
  expect((await ask('/other'))[0]).toBe(404);
  await server.close();
});

test('health is served at an address of either family', async () => {
  const server = await serveHealth({ address: '[::1]:0', metrics: createMetrics() });
  expect((await fetch(`http://[::1]:${server.port}/readyz`)).status).toBe(200);
  await server.close();
});

test('health is served at the wildcards of both families beside each other', async () => {
  const metrics = createMetrics();
  const port = await freePort();
  const first = await serveHealth({ address: `0.0.0.0:${port}`, ipv6Only: true, metrics });
  const second = await serveHealth({ address: `[::]:${port}`, ipv6Only: true, metrics });
  for (const host of ['127.0.0.1', '[::1]']) expect((await fetch(`http://${host}:${port}/readyz`)).status).toBe(200);
  await Promise.all([first.close(), second.close()]);
});
