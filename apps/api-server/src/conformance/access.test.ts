import { Authority, createAuthority } from '@naru/pki';
import { mergePatch, okJson } from '../testing/expect-reply';
import { startTestServer, type Reply, type TestServer } from '../testing/test-server';

// What upstream's tests of sig-auth ask of the API alone.
let api: TestServer;
beforeAll(async () => {
  api = await startTestServer();
});
afterAll(() => api.close());

const core = '/api/v1/namespaces/default';
const requests = '/apis/certificates.k8s.io/v1/certificatesigningrequests';

test('certificate requests are found by their signer, approved, signed and deleted together', async () => {
  const pem = (what: string): string =>
    Buffer.from(`-----BEGIN ${what}-----\nYQ==\n-----END ${what}-----\n`).toString('base64');
  const authority = await Authority.load(await createAuthority());
  const certificate = Buffer.from(authority.certificate).toString('base64');
  const spec = {
    request: pem('CERTIFICATE REQUEST'),
    signerName: 'example.com/e2e-requests',
    expirationSeconds: 3600,
    usages: ['digital signature', 'key encipherment', 'server auth'],
  };
  const query = `fieldSelector=${encodeURIComponent(`spec.signerName=${spec.signerName}`)}`;
  const count = async (): Promise<number> => (await okJson(api.call('GET', `${requests}?${query}`)))['items'].length;
  const body = { metadata: { generateName: 'e2e-example-csr-' }, spec };
  for (let i = 0; i < 2; i++) await okJson(api.call('POST', requests, body), 201);
  const created = await okJson(api.call('POST', requests, body), 201);
  const url = `${requests}/${created['metadata'].name}`;
  expect((await okJson(api.call('GET', url)))['spec']).toMatchObject({ expirationSeconds: 3600 });
  expect(await count()).toBe(3);

  const seen = await okJson(api.call('GET', `${url}/approval`));
  expect(seen).toMatchObject({ kind: 'CertificateSigningRequest', metadata: { uid: created['metadata'].uid } });
  const conditions = [{ type: 'ApprovalPatch', status: 'True', reason: 'e2e' }];
  const patch = { metadata: { annotations: { patchedapproval: 'true' } }, status: { conditions } };
  const patched = await okJson(api.call('PATCH', `${url}/approval`, patch, mergePatch));
  expect(patched).toMatchObject(patch);
  const approved = { type: 'Approved', status: 'True', reason: 'E2E', message: 'Set from an e2e test' };
  patched['status'].conditions.push(approved);
  const updated = await okJson(api.call('PUT', `${url}/approval`, patched));
  expect(updated['status'].conditions).toMatchObject([...conditions, approved]);

  const signed = { metadata: { annotations: { patchedstatus: 'true' } }, status: { certificate } };
  const issued = await okJson(api.call('PATCH', `${url}/status`, signed, mergePatch));
  expect(issued).toMatchObject(signed);
  const last = { ...approved, type: 'StatusUpdate' };
  issued['status'].conditions.push(last);
  const again = await okJson(api.call('PUT', `${url}/status`, issued));
  expect(again['status'].conditions).toMatchObject([...conditions, approved, last]);

  await okJson(api.call('DELETE', url));
  await okJson(api.call('GET', url), 404);
  expect(await count()).toBe(2);
  await okJson(api.call('DELETE', `${requests}?${query}`));
  expect(await count()).toBe(0);
});

test.each([true, false])('a review of an account says what the account then meets (granted: %s)', async granted => {
  const name = `reviewed-${granted}`;
  const { metadata } = await okJson(api.call('POST', `${core}/serviceaccounts`, { metadata: { name } }), 201);
  const user = `system:serviceaccount:default:${name}`;
  const groups = ['system:authenticated', 'system:serviceaccounts', 'system:serviceaccounts:default'];
  if (granted)
    await okJson(
      api.call('POST', '/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings', {
        metadata: { name },
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'view' },
        subjects: [{ kind: 'ServiceAccount', name, namespace: 'default' }],
      }),
      201,
    );
  const resourceAttributes = { verb: 'list', resource: 'configmaps', namespace: 'default', version: 'v1' };
  const spec = { resourceAttributes, user, groups, uid: metadata.uid };
  const reviews = '/apis/authorization.k8s.io/v1';
  const review = await okJson(api.call('POST', `${reviews}/subjectaccessreviews`, { spec }), 201);
  expect(review['status'].allowed).toBe(granted);
  const local = `${reviews}/namespaces/default/localsubjectaccessreviews`;
  const body = { metadata: { namespace: 'default' }, spec };
  expect((await okJson(api.call('POST', local, body), 201))['status'].allowed).toBe(granted);
  const headers = { 'impersonate-user': user, 'impersonate-uid': metadata.uid, 'impersonate-group': groups[2]! };
  expect((await api.call('GET', `${core}/configmaps`, undefined, { headers })).code).toBe(granted ? 200 : 403);
});

const mountPath = '/var/run/secrets/kubernetes.io/serviceaccount';
const ways = [undefined, true, false];
const automounts = ways.flatMap(account => ways.map(pod => ({ account, pod, mounted: pod ?? account ?? true })));

test.each(automounts)('a pod has a token: $mounted, when its account says $account and it says $pod', async way => {
  const name = `mounts-${String(way.account)}-${String(way.pod)}`;
  const automount = (value: boolean | undefined): object =>
    value === undefined ? {} : { automountServiceAccountToken: value };
  await okJson(api.call('POST', `${core}/serviceaccounts`, { metadata: { name }, ...automount(way.account) }), 201);
  const spec = { containers: [{ name: 'c', image: 'i' }], serviceAccountName: name, ...automount(way.pod) };
  await okJson(api.call('POST', `${core}/pods`, { metadata: { name }, spec }), 201);
  const pod = await okJson(api.call('GET', `${core}/pods/${name}`));
  const mounts = (pod['spec'].containers[0].volumeMounts ?? []) as { mountPath: string }[];
  expect(mounts.some(mount => mount.mountPath === mountPath)).toBe(way.mounted);
});

test('a service account is patched, found in all namespaces, updated and deleted with others', async () => {
  const accounts = `${core}/serviceaccounts`;
  const url = `${accounts}/testserviceaccount`;
  const labels = { 'test-serviceaccount-static': 'true' };
  await okJson(api.call('POST', accounts, { metadata: { name: 'testserviceaccount', labels } }), 201);
  const patch = { metadata: { labels: { 'test-serviceaccount': 'patched' } }, automountServiceAccountToken: false };
  const strategic = { headers: { 'content-type': 'application/strategic-merge-patch+json' } };
  await okJson(api.call('PATCH', url, patch, strategic));
  const query = 'labelSelector=test-serviceaccount-static%3Dtrue';
  const everywhere = (): Promise<Reply['json']> => okJson(api.call('GET', `/api/v1/serviceaccounts?${query}`));
  expect((await everywhere())['items']).toMatchObject([{ ...patch, metadata: { name: 'testserviceaccount' } }]);
  const account = await okJson(api.call('GET', url));
  account['automountServiceAccountToken'] = true;
  expect(await okJson(api.call('PUT', url, account))).toMatchObject({ automountServiceAccountToken: true });
  await okJson(api.call('DELETE', `${accounts}?${query}`));
  expect((await everywhere())['items']).toEqual([]);
});

test('a token that was asked for is reviewed as that of its account', async () => {
  await okJson(api.call('POST', `${core}/serviceaccounts`, { metadata: { name: 'reviewed' } }), 201);
  const request = `${core}/serviceaccounts/reviewed/token`;
  const { status } = await okJson(api.call('POST', request, { spec: { expirationSeconds: 600 } }), 201);
  expect(Date.parse(status.expirationTimestamp as string)).toBeGreaterThan(Date.now());
  const review = { metadata: { name: 'review' }, spec: { token: status.token as string } };
  const { status: found } = await okJson(api.call('POST', '/apis/authentication.k8s.io/v1/tokenreviews', review), 201);
  expect(found).toMatchObject({ authenticated: true, user: { username: 'system:serviceaccount:default:reviewed' } });
  expect(found).not.toHaveProperty('error');
});

test('the issuer of tokens publishes its keys to every account, and the tokens are theirs', async () => {
  await okJson(api.call('POST', `${core}/serviceaccounts`, { metadata: { name: 'issuer-tester' } }), 201);
  const request = `${core}/serviceaccounts/issuer-tester/token`;
  const { status } = await okJson(api.call('POST', request, { spec: { audiences: ['oidc-discovery-test'] } }), 201);
  const part = (index: number): Reply['json'] =>
    JSON.parse(Buffer.from(String(status.token).split('.')[index]!, 'base64url').toString()) as Reply['json'];
  const asAccount = { token: status.token as string };
  const { issuer } = await okJson(api.call('GET', '/.well-known/openid-configuration'));
  expect(part(1)).toMatchObject({ iss: issuer, aud: ['oidc-discovery-test'] });
  expect(part(1)['sub']).toBe('system:serviceaccount:default:issuer-tester');
  const { keys } = await okJson(api.call('GET', '/openid/v1/jwks'));
  expect((keys as { kid: string }[]).map(({ kid }) => kid)).toContain(part(0)['kid']);
  // A token for others proves nothing here; one for this server may read the documents, as nobody may.
  expect((await api.call('GET', '/openid/v1/jwks', undefined, asAccount)).code).toBe(401);
  const own = await okJson(api.call('POST', request, { spec: {} }), 201);
  for (const path of ['/.well-known/openid-configuration', '/openid/v1/jwks']) {
    await okJson(api.call('GET', path, undefined, { token: own['status'].token as string }));
    expect((await api.call('GET', path, undefined, { token: '' })).code).toBe(403);
  }
});
