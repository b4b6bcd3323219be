import { X509Certificate } from 'node:crypto';
import tls from 'node:tls';
import type { AddressInfo } from 'node:net';
import { Authority, createAuthority } from './authority';
import { certificateHash, isSignedBy, notAfter } from './inspect';
import { createRequest, readRequest } from './request';

async function makeAuthority(): Promise<Authority> {
  return Authority.load(await createAuthority({ commonName: 'test-ca' }));
}

test('an issued certificate carries user, groups, names and usages', async () => {
  const authority = await makeAuthority();
  const { certificate } = await authority.issue({
    subject: { commonName: 'system:node:a', organizations: ['system:nodes', 'more'] },
    usages: ['client', 'server'],
    dnsNames: ['localhost', 'a.example'],
    ipAddresses: ['127.0.0.1', '::1'],
    days: 10,
  });
  const read = new X509Certificate(certificate);
  expect(read.subject.split('\n')).toEqual(['O=system:nodes + O=more', 'CN=system:node:a']);
  expect(read.subjectAltName).toBe('DNS:localhost, DNS:a.example, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1');
  expect(read.keyUsage).toEqual(['1.3.6.1.5.5.7.3.2', '1.3.6.1.5.5.7.3.1']);
  expect(read.ca).toBe(false);
  expect(isSignedBy(certificate, authority.certificate)).toBe(true);
  expect(notAfter(certificate) / 86_400_000).toBeCloseTo(Date.now() / 86_400_000 + 10, 2);
});

test('a request is signed with the subject that the signer decides, not the one it asks for', async () => {
  const authority = await makeAuthority();
  const { request } = await createRequest({
    subject: { commonName: 'kubernetes-admin', organizations: ['system:masters'] },
    dnsNames: ['a'],
    ipAddresses: ['10.95.0.11'],
  });
  expect(await readRequest(request)).toEqual({
    subject: { commonName: 'kubernetes-admin', organizations: ['system:masters'] },
    dnsNames: ['a'],
    ipAddresses: ['10.95.0.11'],
  });
  const certificate = await authority.sign(request, { subject: { commonName: 'nobody' }, usages: ['client'] });
  expect(new X509Certificate(certificate).subject).toBe('CN=nobody');
});

test('two peers with certificates of one authority talk TLS to each other', async () => {
  const authority = await makeAuthority();
  const server = await authority.issue({
    subject: { commonName: 's' },
    usages: ['server'],
    ipAddresses: ['127.0.0.1'],
  });
  const client = await authority.issue({
    subject: { commonName: 'c', organizations: ['g1', 'g2'] },
    usages: ['client'],
  });
  const listener = tls.createServer(
    {
      ca: authority.certificate,
      cert: server.certificate,
      key: server.key,
      requestCert: true,
      rejectUnauthorized: true,
    },
    socket => socket.end(JSON.stringify(socket.getPeerCertificate().subject)),
  );
  await new Promise<void>(resolve => listener.listen(0, '127.0.0.1', resolve));
  const { port } = listener.address() as AddressInfo;
  const socket = tls.connect({
    host: '127.0.0.1',
    port,
    ca: authority.certificate,
    cert: client.certificate,
    key: client.key,
  });
  let heard = '';
  for await (const chunk of socket.setEncoding('utf8')) heard += chunk as string;
  listener.close();
  expect(JSON.parse(heard)).toEqual({ CN: 'c', O: ['g1', 'g2'] });
});

test('a malformed or forged request is refused as BadRequest', async () => {
  await expect(readRequest('nonsense')).rejects.toMatchObject({ reason: 'BadRequest' });
  await expect(readRequest('x'.repeat(20_000))).rejects.toMatchObject({ reason: 'BadRequest' });
  const { request } = await createRequest({ subject: { commonName: 'original' } });
  const der = Buffer.from(request.split('\n').slice(1, -2).join(''), 'base64');
  der.write('forgeryx', der.indexOf('original'));
  const forged = `-----BEGIN CERTIFICATE REQUEST-----\n${der.toString('base64')}\n-----END CERTIFICATE REQUEST-----\n`;
  await expect(readRequest(forged)).rejects.toMatchObject({
    message: expect.stringMatching(/signature does not match/),
  });
});

test('the hash of an authority is over its DER, whatever the PEM looks like', async () => {
  const { certificate } = await makeAuthority();
  expect(certificateHash(certificate)).toMatch(/^[0-9a-f]{64}$/);
  expect(certificateHash(`\n${certificate}\n\n`)).toBe(certificateHash(certificate));
});
