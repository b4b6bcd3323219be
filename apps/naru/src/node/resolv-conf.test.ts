import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { nodeResolvConf } from './resolv-conf';

test("a machine's real name servers do for its nodes", () => {
  expect(nodeResolvConf('nameserver 192.0.2.1\n', '/nonexistent')).toBeUndefined();
});

test('a name server on loopback is replaced by those behind it', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'naru-resolv-'));
  const upstream = path.join(folder, 'resolv.conf');
  writeFileSync(upstream, 'nameserver 192.0.2.1\nsearch example\n');
  expect(nodeResolvConf('nameserver 127.0.0.53\n', upstream)).toBe('nameserver 192.0.2.1\nsearch example\n');
  rmSync(folder, { recursive: true });
});

test('without a file of the real ones, loopback ones are left out', () => {
  expect(nodeResolvConf('nameserver 127.0.0.1\nnameserver 192.0.2.2\n', '/nonexistent')).toBe('nameserver 192.0.2.2\n');
});
