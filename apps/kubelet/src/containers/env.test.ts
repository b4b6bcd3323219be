import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { Container, Pod } from '@naru/api';
import { containerEnv, type ConfigSource } from './env';
import { expand } from './expand';
import type { PodFacts } from './field-ref';
import { serviceEnv } from './service-env';

const facts: PodFacts = {
  podIps: ['10.244.1.2'],
  hostIps: ['10.95.0.11'],
  nodeName: 'n1',
  allocatable: { cpu: 2000, memory: 4 << 30, 'ephemeral-storage': 10_000 },
};

const objects: ConfigSource = {
  configMap: async (_namespace, name) => (name === 'cm' ? { data: { color: 'blue', size: 'l' } } : undefined),
  secret: async (_namespace, name) =>
    name === 'sec' ? { data: { password: Buffer.from('hunter2').toString('base64') } } : undefined,
};

async function env(
  container: Partial<Container>,
  links: Record<string, string> = {},
  volumes: ReadonlyMap<string, string> = new Map(),
): Promise<Record<string, string>> {
  const pod: Pod = {
    metadata: { name: 'p', namespace: 'ns', uid: 'u', labels: { app: 'x' } },
    spec: { containers: [] },
  };
  const full = { name: 'c', ...container } as Container;
  const result = await containerEnv({ pod, container: full, facts, serviceEnv: links, objects, volumes });
  return Object.fromEntries(result);
}

describe('expand', () => {
  const values: Record<string, string> = { A: '1', B: '2' };
  it.each([
    ['$(A)-$(B)', '1-2'],
    ['$$(A)', '$(A)'],
    ['$(C)', '$(C)'],
    ['$', '$'],
    ['$A', '$A'],
    ['$(A', '$(A'],
    ['x$$', 'x$'],
  ])('turns %s into %s', (text, expected) => {
    expect(expand(text, name => values[name])).toBe(expected);
  });
});

describe('containerEnv', () => {
  it('expands references to earlier variables and to services only', async () => {
    const result = await env(
      {
        env: [
          { name: 'LATER', value: '$(X)' },
          { name: 'X', value: '1' },
          { name: 'Y', value: '$(X)$(WEB_SERVICE_HOST)' },
        ],
      },
      { WEB_SERVICE_HOST: '10.96.0.9' },
    );
    expect(result).toEqual({ LATER: '$(X)', X: '1', Y: '110.96.0.9', WEB_SERVICE_HOST: '10.96.0.9' });
  });

  it('reads files of volumes, and nothing that a link leads to outside', async () => {
    const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'naru-env-'));
    const volume = path.join(directory, 'volume');
    fs.mkdirSync(volume);
    fs.writeFileSync(path.join(directory, 'secret.env'), "A='outside'");
    fs.writeFileSync(path.join(volume, 'real.env'), "A='inside'\nB=''\n");
    fs.symlinkSync('real.env', path.join(volume, 'link.env'));
    fs.symlinkSync('../secret.env', path.join(volume, 'out.env'));
    const read = (key: string, file: string, optional = false, volumeName = 'v') =>
      env(
        { env: [{ name: 'X', valueFrom: { fileKeyRef: { volumeName, path: file, key, optional } } }] },
        {},
        new Map([['v', volume]]),
      );
    try {
      expect(await read('A', 'real.env')).toEqual({ X: 'inside' });
      expect(await read('A', 'link.env')).toEqual({ X: 'inside' });
      expect(await read('C', 'real.env', true)).toEqual({});
      await expect(read('B', 'real.env')).rejects.toThrow('environment variable key "B" not found in file "real.env"');
      await expect(read('A', 'out.env')).rejects.toThrow('couldn\'t parse env file: "out.env" leads out of its volume');
      await expect(read('A', 'none.env', true)).rejects.toThrow("couldn't parse env file");
      await expect(read('A', '.')).rejects.toThrow("couldn't parse env file");
      await expect(read('A', 'a', false, 'w')).rejects.toThrow('cannot find the volume "w" referenced by FileKeyRef');
    } finally {
      fs.rmSync(directory, { recursive: true });
    }
  });

  it('reads fields, resources, config maps and secrets', async () => {
    const result = await env({
      resources: { limits: { cpu: '1500m', memory: '64Mi' } },
      envFrom: [{ prefix: 'P_', configMapRef: { name: 'cm' } }, { secretRef: { name: 'none', optional: true } }],
      env: [
        { name: 'IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
        { name: 'APP', valueFrom: { fieldRef: { fieldPath: "metadata.labels['app']" } } },
        { name: 'CPU', valueFrom: { resourceFieldRef: { resource: 'limits.cpu' } } },
        { name: 'MEM', valueFrom: { resourceFieldRef: { resource: 'limits.memory', divisor: '1Mi' } } },
        { name: 'PASS', valueFrom: { secretKeyRef: { name: 'sec', key: 'password' } } },
        { name: 'NONE', valueFrom: { configMapKeyRef: { name: 'cm', key: 'zzz', optional: true } } },
      ],
    });
    expect(result).toEqual({
      P_color: 'blue',
      P_size: 'l',
      IP: '10.244.1.2',
      APP: 'x',
      CPU: '2',
      MEM: '64',
      PASS: 'hunter2',
    });
  });

  it('falls back to the allocatable of the node when there is no limit', async () => {
    const result = await env({ env: [{ name: 'CPU', valueFrom: { resourceFieldRef: { resource: 'limits.cpu' } } }] });
    expect(result).toEqual({ CPU: '2' });
  });

  it.each([
    [{ envFrom: [{ configMapRef: { name: 'zzz' } }] }, 'configmap "zzz" not found'],
    [{ env: [{ name: 'A', valueFrom: { secretKeyRef: { name: 'zzz', key: 'k' } } }] }, 'secret "zzz" not found'],
    [
      { env: [{ name: 'A', valueFrom: { configMapKeyRef: { name: 'cm', key: 'k' } } }] },
      "couldn't find key k in ConfigMap ns/cm",
    ],
  ])('says what is missing: %j', async (container, message) => {
    await expect(env(container)).rejects.toThrow(message);
  });
});

describe('serviceEnv', () => {
  it('names services of the namespace and kubernetes.default', () => {
    const services = [
      {
        metadata: { name: 'kubernetes', namespace: 'default' },
        spec: { clusterIP: '10.96.0.1', ports: [{ name: 'https', port: 443 }] },
      },
      { metadata: { name: 'my-web', namespace: 'ns' }, spec: { clusterIP: '10.96.0.9', ports: [{ port: 80 }] } },
      { metadata: { name: 'other', namespace: 'zz' }, spec: { clusterIP: '10.96.0.8', ports: [{ port: 80 }] } },
      { metadata: { name: 'headless', namespace: 'ns' }, spec: { clusterIP: 'None', ports: [{ port: 80 }] } },
    ];
    expect(serviceEnv(services, 'ns', true)).toEqual({
      KUBERNETES_SERVICE_HOST: '10.96.0.1',
      KUBERNETES_SERVICE_PORT: '443',
      KUBERNETES_SERVICE_PORT_HTTPS: '443',
      KUBERNETES_PORT: 'tcp://10.96.0.1:443',
      KUBERNETES_PORT_443_TCP: 'tcp://10.96.0.1:443',
      KUBERNETES_PORT_443_TCP_PROTO: 'tcp',
      KUBERNETES_PORT_443_TCP_PORT: '443',
      KUBERNETES_PORT_443_TCP_ADDR: '10.96.0.1',
      MY_WEB_SERVICE_HOST: '10.96.0.9',
      MY_WEB_SERVICE_PORT: '80',
      MY_WEB_PORT: 'tcp://10.96.0.9:80',
      MY_WEB_PORT_80_TCP: 'tcp://10.96.0.9:80',
      MY_WEB_PORT_80_TCP_PROTO: 'tcp',
      MY_WEB_PORT_80_TCP_PORT: '80',
      MY_WEB_PORT_80_TCP_ADDR: '10.96.0.9',
    });
    expect(Object.keys(serviceEnv(services, 'ns', false)).every(name => name.startsWith('KUBERNETES'))).toBe(true);
  });
});
