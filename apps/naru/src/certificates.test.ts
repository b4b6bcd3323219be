import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { certificateHash } from '@naru/pki';
import { prepareCertificates } from './certificates';
import { writeKubeconfig } from './kubeconfig';

const names = {
  apiServer: { dnsNames: ['machine'], ipAddresses: ['10.95.0.1', '10.96.0.1'] },
  nats: { dnsNames: ['localhost'], ipAddresses: ['10.95.0.1'] },
};

let folder: string;
beforeAll(() => (folder = mkdtempSync(path.join(tmpdir(), 'naru-pki-'))));
afterAll(() => rmSync(folder, { recursive: true }));

test('each process gets a folder with its own keys, readable by nobody else', async () => {
  const { made } = await prepareCertificates(folder, names);
  expect(made.length).toBeGreaterThan(10);
  expect(readdirSync(folder).sort()).toEqual(
    ['admin', 'api-server', 'authority', 'controller-manager', 'dns', 'metrics-server', 'nats', 'scheduler'].sort(),
  );
  for (const file of made) expect(statSync(path.join(folder, file)).mode & 0o777).toBe(0o600);
});

test('what is there and still good is kept', async () => {
  expect((await prepareCertificates(folder, names)).made).toEqual([]);
});

test('a certificate that lacks a name is made anew, and only that one', async () => {
  const more = { ...names, nats: { ...names.nats, ipAddresses: ['10.95.0.1', '127.0.0.1'] } };
  expect((await prepareCertificates(folder, more)).made).toEqual(['nats/serving.key', 'nats/serving.crt']);
});

test('the api-server is reached under every name that clients use', () => {
  const serving = new X509Certificate(readFileSync(path.join(folder, 'api-server/serving.crt')));
  for (const name of ['localhost', 'kubernetes.default.svc.cluster.local', 'machine'])
    expect(serving.checkHost(name)).toBe(name);
  for (const address of ['127.0.0.1', '10.96.0.1']) expect(serving.checkIP(address)).toBe(address);
});

test('identities are upstream ones', () => {
  const subject = (file: string): string => new X509Certificate(readFileSync(path.join(folder, file))).subject;
  expect(subject('scheduler/client.crt')).toBe('CN=system:kube-scheduler');
  expect(subject('controller-manager/client.crt')).toBe('CN=system:kube-controller-manager');
  expect(subject('api-server/front-proxy-client.crt')).toBe('CN=front-proxy-client');
  expect(subject('admin/client.crt')).toBe('O=system:masters\nCN=kubernetes-admin');
});

test('the kubeconfig carries everything with it', async () => {
  const file = path.join(folder, 'kubeconfig');
  const at = (name: string): string => path.join(folder, 'admin', name);
  await writeKubeconfig(file, {
    cluster: 'naru',
    server: 'https://127.0.0.1:6443',
    ca: at('ca.crt'),
    certificate: at('client.crt'),
    key: at('client.key'),
  });
  const { clusters, users } = JSON.parse(readFileSync(file, 'utf8')) as {
    clusters: { cluster: Record<string, string> }[];
    users: { user: Record<string, string> }[];
  };
  const ca = Buffer.from(clusters[0]?.cluster['certificate-authority-data'] ?? '', 'base64').toString();
  expect(certificateHash(ca)).toBe(certificateHash(readFileSync(at('ca.crt'), 'utf8')));
  expect(Buffer.from(users[0]?.user['client-key-data'] ?? '', 'base64').toString()).toMatch(/PRIVATE KEY/);
});
