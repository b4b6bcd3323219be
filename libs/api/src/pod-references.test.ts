import { apiReferences } from './pod-references';
import type { PodSpec } from './types';

const main = { name: 'main', image: 'x' };
const withEnv = (valueFrom: object): object => ({ containers: [{ ...main, env: [{ name: 'A', valueFrom }] }] });
const withVolume = (volume: object): object => ({ volumes: [{ name: 'v', ...volume }] });
const projected = (...sources: object[]): object => withVolume({ projected: { sources } });

test.each<[object, string[]]>([
  [{}, []],
  [{ serviceAccountName: 'a' }, ['a service account']],
  [{ serviceAccount: 'a' }, ['a service account']],
  [{ serviceAccountName: '', imagePullSecrets: [] }, []],
  [{ imagePullSecrets: [{ name: 's' }] }, ['secrets']],
  [{ resourceClaims: [{ name: 'c' }] }, ['resourceclaims']],
  [withEnv({ fieldRef: { fieldPath: 'metadata.name' } }), []],
  [withEnv({ secretKeyRef: { name: 's', key: 'k' } }), ['secrets']],
  [withEnv({ configMapKeyRef: { name: 'c', key: 'k' } }), ['configmaps']],
  [{ initContainers: [{ ...main, envFrom: [{ secretRef: { name: 's' } }] }] }, ['secrets']],
  [{ ephemeralContainers: [{ ...main, envFrom: [{ configMapRef: { name: 'c' } }] }] }, ['configmaps']],
  [withVolume({ emptyDir: {} }), []],
  [withVolume({ hostPath: { path: '/secret' } }), []],
  [withVolume({ secret: { secretName: 's' } }), ['secrets']],
  [withVolume({ configMap: { name: 'c' } }), ['configmaps']],
  [withVolume({ persistentVolumeClaim: { claimName: 'c' } }), ['persistentvolumeclaims']],
  [withVolume({ ephemeral: { volumeClaimTemplate: {} } }), ['persistentvolumeclaims']],
  [withVolume({ csi: { driver: 'd', nodePublishSecretRef: { name: 's' } } }), ['secrets']],
  [withVolume({ csi: { driver: 'd', volumeAttributes: { secretName: 'of the driver' } } }), []],
  [withVolume({ flexVolume: { driver: 'd', options: { secretRef: 'of the driver' } } }), []],
  [withVolume({ azureFile: { secretName: '', shareName: 's' } }), []],
  [projected({ downwardAPI: {} }), []],
  [
    projected(
      { podCertificate: { signerName: 's' } },
      { clusterTrustBundle: { name: 'b' } },
      { serviceAccountToken: { path: 'token' } },
      { configMap: { name: 'c' } },
      { secret: { name: 's' } },
    ),
    ['secrets', 'configmaps', 'service account tokens', 'clustertrustbundles', 'pod certificates'],
  ],
])('the pod %j refers to %j', (spec, kinds) => {
  expect(apiReferences({ containers: [main], ...spec } as PodSpec)).toEqual(kinds);
});
