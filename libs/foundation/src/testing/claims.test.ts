import { createServer } from 'node:net';
import { claimNumber, freePort } from './claims';

test('a claimed number is nobody else’s until it is released', async () => {
  const claims = await Promise.all(Array.from({ length: 50 }, () => claimNumber()));
  const values = claims.map(({ value }) => value);
  expect(new Set(values).size).toBe(50);
  for (const value of values) expect(value >= 0 && value < 200).toBe(true);
  for (const { release } of claims) release();
});

test('free ports differ, and can be listened on', async () => {
  const ports = await Promise.all(Array.from({ length: 50 }, () => freePort()));
  expect(new Set(ports).size).toBe(50);
  const servers = ports.map(port => createServer().listen(port, '127.0.0.1'));
  await Promise.all(servers.map(server => new Promise(resolve => server.once('listening', resolve))));
  for (const server of servers) server.close();
});
