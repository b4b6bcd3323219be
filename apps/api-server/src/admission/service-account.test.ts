import { startTestServer } from '../testing/test-server';

test('pods with lists of nothing are refused, not a failure of the server', async () => {
  const api = await startTestServer();
  const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default' } };
  await api.call('POST', '/api/v1/namespaces/default/serviceaccounts', account);
  const containers = [{ name: 'c', image: 'i' }];
  const codes: number[] = [];
  for (const spec of [{ containers: [null] }, { containers, volumes: [null] }]) {
    const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p' }, spec };
    codes.push((await api.call('POST', '/api/v1/namespaces/default/pods', pod)).code);
  }
  await api.close();
  expect(codes).toEqual([422, 422]);
});
