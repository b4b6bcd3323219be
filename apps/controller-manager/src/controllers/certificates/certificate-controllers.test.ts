import { certificateSigningRequests, type CertificateSigningRequest } from '@naru/api';
import { createAuthority, createRequest, isSignedBy, notAfter, type AlternativeNames } from '@naru/pki';
import { eventually } from '@naru/testing';
import { startControllers } from '../../fixtures';
import { csrApprovingController, csrCleanerController, csrSigningController } from './certificate-controllers';

type Spec = CertificateSigningRequest['spec'];
const approved = { type: 'Approved', status: 'True', reason: 'Test', lastUpdateTime: new Date().toISOString() };
const node = { commonName: 'system:node:n1', organizations: ['system:nodes'] };

async function makeRequest(
  spec: Pick<Spec, 'signerName' | 'usages'> & Partial<Spec>,
  subject: { commonName: string; organizations?: string[] },
  names: AlternativeNames = {},
): Promise<CertificateSigningRequest> {
  const { request } = await createRequest({ subject, ...names });
  return {
    metadata: { name: 'csr' },
    spec: { username: 'system:node:n1', request: Buffer.from(request).toString('base64'), ...spec },
  };
}

async function start() {
  const authority = await createAuthority();
  const signing = { ...authority, maxSeconds: 86_400 };
  const controllers = [csrApprovingController, csrSigningController, csrCleanerController];
  const cluster = await startControllers(controllers, { config: { signing } });
  const read = () => cluster.api.get(certificateSigningRequests, { name: 'csr' });
  return { ...cluster, authority, read };
}

const client = { signerName: 'kubernetes.io/kube-apiserver-client', usages: ['client auth', 'digital signature'] };

test('an approved request is signed by the authority, for as long as was asked for', async () => {
  const { api, authority, read, stop } = await start();
  const from = Date.now();
  const csr = await makeRequest({ ...client, expirationSeconds: 3600 }, { commonName: 'jane' });
  api.seed(certificateSigningRequests, { ...csr, status: { conditions: [approved] } });
  const pem = await eventually(async () => {
    const { certificate } = (await read()).status ?? {};
    expect(certificate).toBeDefined();
    return Buffer.from(certificate ?? '', 'base64').toString();
  });
  expect(isSignedBy(pem, authority.certificate)).toBe(true);
  const signedAt = notAfter(pem) - 3_600_000;
  // Certificates know whole seconds.
  expect(signedAt).toBeGreaterThan(from - 1_000);
  expect(signedAt).toBeLessThanOrEqual(Date.now());
  await stop();
});

test.each<[string, Promise<CertificateSigningRequest>, string]>([
  [
    'server certificates of the client signer',
    makeRequest({ ...client, usages: ['server auth'] }, { commonName: 'jane' }),
    'usages did not match',
  ],
  [
    'another group of the kubelet signer',
    makeRequest(
      { signerName: 'kubernetes.io/kube-apiserver-client-kubelet', usages: ['client auth'] },
      { ...node, organizations: ['system:masters'] },
    ),
    'subject organization is not system:nodes',
  ],
  [
    'no names of the serving signer',
    makeRequest({ signerName: 'kubernetes.io/kubelet-serving', usages: ['server auth'] }, node),
    'at least one DNS or IP subjectAltName is required',
  ],
])('a request for %s fails, though it was approved', async (_what, making, message) => {
  const { api, read, stop } = await start();
  api.seed(certificateSigningRequests, { ...(await making), status: { conditions: [approved] } });
  await eventually(async () => {
    const failed = (await read()).status?.conditions?.find(({ type }) => type === 'Failed');
    expect(failed).toMatchObject({
      reason: 'SignerValidationFailure',
      message: expect.stringContaining(message) as string,
    });
  });
  await stop();
});

test('what is denied, or of another signer, is left alone; what is old is removed', async () => {
  const { api, read, stop } = await start();
  const denied = { ...approved, type: 'Denied' };
  api.seed(certificateSigningRequests, {
    ...(await makeRequest(client, { commonName: 'jane' })),
    status: { conditions: [approved, denied] },
  });
  const foreign = await makeRequest({ ...client, signerName: 'example.com/mine' }, { commonName: 'jane' });
  api.seed(certificateSigningRequests, {
    ...foreign,
    metadata: { name: 'foreign' },
    status: { conditions: [approved] },
  });
  const old = { metadata: { name: 'old', creationTimestamp: '2020-01-01T00:00:00Z' }, spec: foreign.spec };
  api.seed(certificateSigningRequests, old);
  await eventually(async () => {
    const names = (await api.list(certificateSigningRequests)).items.map(({ metadata }) => metadata.name);
    expect(names.sort()).toEqual(['csr', 'foreign']);
  });
  expect((await read()).status?.certificate).toBeUndefined();
  await stop();
});
