import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { loadKubeconfig } from './kubeconfig';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'naru-kubeconfig-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const write = (name: string, text: string): string => {
  writeFileSync(path.join(folder, name), text);
  return path.join(folder, name);
};
const config = (cluster: string, user: string): string =>
  write(
    'config',
    `apiVersion: v1
kind: Config
current-context: two
contexts:
- {name: one, context: {cluster: other, user: other}}
- {name: two, context: {cluster: c, user: u, namespace: default}}
clusters:
- name: c
  cluster: ${cluster}
users:
- name: u
  user: ${user}
`,
  );
const base64 = (text: string): string => Buffer.from(text).toString('base64');

test('reads certificates, tokens and authorities, from data and from files beside it', async () => {
  write('ca.crt', 'THE CA');
  write('me.crt', 'THE CERTIFICATE');
  write('token', 'from-file\n');
  const fromFiles = await loadKubeconfig(
    config(
      '{server: "https://h:6443/", certificate-authority: ca.crt, tls-server-name: kubernetes}',
      `{client-certificate: me.crt, client-key-data: ${base64('THE KEY')}, tokenFile: token}`,
    ),
  );
  expect(fromFiles).toMatchObject({
    server: 'https://h:6443',
    ca: 'THE CA',
    certificate: 'THE CERTIFICATE',
    key: 'THE KEY',
    serverName: 'kubernetes',
    insecure: false,
  });
  expect(await fromFiles.authorization()).toBe('Bearer from-file');
  const fromData = await loadKubeconfig(
    config(
      `{server: "https://h:6443", certificate-authority-data: ${base64('CA DATA')}, insecure-skip-tls-verify: true}`,
      '{token: secret}',
    ),
  );
  expect(fromData).toMatchObject({ ca: 'CA DATA', certificate: undefined, insecure: true });
  expect(await fromData.authorization()).toBe('Bearer secret');
  const basic = await loadKubeconfig(config('{server: "http://h:8080"}', '{username: ann, password: "1"}'));
  expect(await basic.authorization()).toBe(`Basic ${base64('ann:1')}`);
  const nobody = await loadKubeconfig(config('{server: "http://h:8080"}', '{}'));
  expect(await nobody.authorization()).toBeUndefined();
});

test('says what is wrong with a kubeconfig that cannot be used', async () => {
  const server = '{server: "https://h:6443"}';
  await expect(loadKubeconfig(config(server, '{exec: {command: aws}}'))).rejects.toThrow(
    /config: user "u" wants a credential plugin/,
  );
  await expect(loadKubeconfig(config('{server: "https://h", proxy-url: "http://p"}', '{}'))).rejects.toThrow(
    /cluster "c" wants a proxy/,
  );
  await expect(loadKubeconfig(config('{}', '{}'))).rejects.toThrow(/there is no cluster "c" with a server/);
  await expect(loadKubeconfig(write('empty', ''))).rejects.toThrow(/it has no current-context/);
  await expect(loadKubeconfig(write('gone', '{"current-context": "x"}'))).rejects.toThrow(/there is no context "x"/);
  await expect(loadKubeconfig(write('odd', '{'))).rejects.toThrow(/Cannot use kubeconfig .*odd/);
  await expect(loadKubeconfig(path.join(folder, 'absent'))).rejects.toThrow(/ENOENT/);
});
