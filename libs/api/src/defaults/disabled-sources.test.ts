import { defaultPod, defaultPodTemplate } from './pod-spec';
import { validatePodSpec } from '../validation/pod/pod-spec';
import type { FieldError } from '../validation/field-error';
import type { PodSpec } from '../types';

const specWith = (): PodSpec => ({
  containers: [{ name: 'main', image: 'web:1' }],
  volumes: [
    {
      name: 'trust',
      projected: {
        sources: [
          { clusterTrustBundle: { path: 'ca.pem', name: 'bundle' } },
          { podCertificate: { signerName: 'example.com/signer', keyType: 'ED25519', credentialBundlePath: 'pem' } },
          { configMap: { name: 'settings' } },
        ],
      },
    },
  ],
});
const kept = [{}, {}, { configMap: { name: 'settings' } }];

test('a scheduling group is as if not written', () => {
  const spec: PodSpec = { containers: [{ name: 'main' }], schedulingGroup: { podGroupName: 'together' } };
  defaultPod(spec);
  expect(spec).not.toHaveProperty('schedulingGroup');
});

test('trust bundles and pod certificates in a volume are as if not written, in pods and in templates', () => {
  const pod = { spec: specWith() };
  defaultPod(pod.spec);
  expect(pod.spec.volumes?.[0]?.projected?.sources).toEqual(kept);
  const errors: FieldError[] = [];
  validatePodSpec(pod.spec, 'spec', errors);
  expect(errors).toEqual([]);
  const template = { spec: specWith() };
  defaultPodTemplate(template);
  expect(template.spec.volumes?.[0]?.projected?.sources).toEqual(kept);
});
