import { staticPod } from './static-pods';

const manifest = (spec: object): string =>
  JSON.stringify({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'own' },
    spec: { containers: [{ name: 'main', image: 'i' }], ...spec },
  });
const made = (spec: object) => staticPod({ text: manifest(spec), origin: '/etc/own.yaml' }, 'file', 'node-1');

test.each([
  [{ serviceAccountName: 'robot' }, 'serviceaccounts'],
  [{ imagePullSecrets: [{ name: 's' }] }, 'secrets'],
  [{ volumes: [{ name: 'v', configMap: { name: 'c' } }] }, 'configmaps'],
  [{ volumes: [{ name: 'v', persistentVolumeClaim: { claimName: 'c' } }] }, 'persistentvolumeclaims'],
  [{ resourceClaims: [{ name: 'gpu', resourceClaimName: 'c' }] }, 'resourceclaims'],
  [
    { containers: [{ name: 'main', env: [{ name: 'A', valueFrom: { secretKeyRef: { name: 's', key: 'k' } } }] }] },
    'secrets',
  ],
])('a static pod with %j is refused', (spec, what) => {
  expect(() => made(spec)).toThrow(`static pods may not reference ${what}`);
});

test('a static pod has the name of its node, and stays whatever happens to that', () => {
  const volumes = [{ name: 'v', hostPath: { path: '/' } }];
  const { metadata, spec } = made({ volumes });
  expect(metadata).toMatchObject({ name: 'own-node-1', namespace: 'default' });
  expect(spec).toMatchObject({ volumes, tolerations: [{ operator: 'Exists', effect: 'NoExecute' }] });
});
