import { validatingAdmissionPolicies } from '@naru/api';
import { eventually } from '@naru/testing';
import { startControllers } from '../../fixtures';
import { convergenceSuite } from '../../simulation';
import { validatingAdmissionPolicyStatusController } from './validating-admission-policy-status-controller';

const policy = { metadata: { name: 'p', generation: 3 }, spec: { validations: [{ expression: 'true' }] } };

test('the status of a policy says which generation was seen', async () => {
  const cluster = await startControllers([validatingAdmissionPolicyStatusController]);
  cluster.api.seed(validatingAdmissionPolicies, policy);
  await eventually(async () => {
    const { metadata, status } = await cluster.api.get(validatingAdmissionPolicies, { name: 'p' });
    expect(metadata.generation).toBeGreaterThan(0);
    expect(status?.observedGeneration).toBe(metadata.generation);
  });
  await cluster.stop();
});

convergenceSuite([validatingAdmissionPolicyStatusController], {
  objects: api => void api.seed(validatingAdmissionPolicies, policy),
  async expectEnd(api) {
    const { metadata, status } = await api.get(validatingAdmissionPolicies, { name: 'p' });
    expect(status?.observedGeneration).toBe(metadata.generation);
  },
});
