import type { Pod } from '@naru/api';
import { encodeObject } from '../storage/codec';
import { startTestServer } from '../testing/test-server';
import type { AdmissionDeps, AdmissionRequest } from './plugin';
import { serviceAccount } from './service-account';

/** What becomes of a pod whose account is there at a certain look, the first being 1, and how often it was looked for. */
async function admit(serviceAccountName: string, thereAt: number): Promise<{ pod: Pod; looks: number }> {
  let looks = 0;
  const entry = { bytes: encodeObject({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'any' } }) };
  const cache = { get: () => (++looks >= thereAt ? entry : undefined) };
  const deps = {
    storage: { cache: () => cache },
    scheme: { byResource: () => undefined },
    clock: { sleep: () => Promise.resolve() },
  } as unknown as AdmissionDeps;
  const pod: Pod = { metadata: { name: 'p' }, spec: { serviceAccountName, containers: [{ name: 'c' }] } };
  const request = { object: pod, namespace: 'new', name: 'p' } as AdmissionRequest;
  await serviceAccount.admit?.(request, deps);
  return { pod, looks };
}

test('a pod waits for the account that every namespace gets soon after it was made, and for no other', async () => {
  const { pod, looks } = await admit('default', 10);
  expect(looks).toBe(10);
  expect(pod.spec).toMatchObject({ serviceAccount: 'default', containers: [{ volumeMounts: [{ readOnly: true }] }] });
  await expect(admit('default', 11)).rejects.toThrow('serviceaccount "default" not found');
  await expect(admit('other', 2)).rejects.toThrow('serviceaccount "other" not found');
});

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
