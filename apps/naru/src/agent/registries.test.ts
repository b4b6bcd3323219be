import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { readRegistries, writeContainerdHosts } from './registries';

let folder: string;
beforeEach(() => (folder = mkdtempSync(path.join(tmpdir(), 'registries-'))));
afterEach(() => rmSync(folder, { recursive: true }));

function read(text: string): ReturnType<typeof readRegistries> {
  const file = path.join(folder, 'registries.json');
  writeFileSync(file, text);
  return readRegistries(file);
}

test('what is said of registries is said to containerd in its own way', () => {
  const registries = {
    'docker.io': { mirrors: ['https://mirror.example'] },
    'registry.lab:5000': { plainHttp: true },
  };
  writeContainerdHosts(folder, read(JSON.stringify({ registries })));
  const hosts = (name: string): string => readFileSync(path.join(folder, name, 'hosts.toml'), 'utf8');
  expect(hosts('docker.io')).toBe(
    'server = "https://registry-1.docker.io"\n\n[host."https://mirror.example"]\n  capabilities = ["pull", "resolve"]\n',
  );
  expect(hosts('registry.lab:5000')).toBe(
    'server = "http://registry.lab:5000"\n\n[host."http://registry.lab:5000"]\n  capabilities = ["pull", "resolve"]\n',
  );
});

test.each([['{'], ['null'], ['{"registries":{"a":{"mirrors":["no address"]}}}']])(
  '%s says nothing of registries',
  text => expect(() => read(text)).toThrow(/^flag --registry-config: .*registries.json: /),
);
