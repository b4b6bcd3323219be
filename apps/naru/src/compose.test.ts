import { readFileSync } from 'node:fs';
import path from 'node:path';
import { parse } from 'yaml';

interface Process {
  command: string[];
  volumes?: string[];
  environment?: Record<string, string>;
}

const file = path.resolve(__dirname, '../../../docker-compose.yml');
const { services } = parse(readFileSync(file, 'utf8'), { merge: true }) as { services: Record<string, Process> };
const processes = Object.entries(services).filter(([name]) => name !== 'init');
const mountsOf = ({ volumes = [] }: Process): string[] => volumes.map(volume => volume.split(':')[1] ?? '');

test.each(processes)(
  '%s of the compose file has every file that it is told of, and no folder besides',
  (_, service) => {
    const told = [...service.command, ...Object.values(service.environment ?? {})].flatMap(
      word => /\/pki\/[^/]+/.exec(word)?.[0] ?? [],
    );
    const mounted = mountsOf(service).filter(folder => folder.startsWith('/pki/'));
    expect([...new Set(told)].sort()).toEqual(mounted.sort());
  },
);

test('the key of the authority is for those that sign with it alone', () => {
  const holders = processes.filter(([, service]) => mountsOf(service).includes('/pki/authority'));
  expect(holders.map(([name]) => name)).toEqual(['api-server', 'controller-manager']);
  expect(services['controller-manager']?.command).toEqual(
    expect.arrayContaining([
      '--cluster-signing-cert-file=/pki/authority/ca.crt',
      '--cluster-signing-key-file=/pki/authority/ca.key',
      '--rest-api=https://api-server:6443',
    ]),
  );
});
