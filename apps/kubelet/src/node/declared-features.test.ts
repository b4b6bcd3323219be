import type { Pod } from '@naru/api';
import { admitFeatures } from './declared-features';

const restartPolicyRules = [{ action: 'RestartAllContainers', exitCodes: { operator: 'In', values: [1] } }];
const needy: Pod = {
  spec: {
    containers: [{ name: 'main', restartPolicy: 'Never', restartPolicyRules }],
    hostNetwork: true,
    hostUsers: false,
  },
};

test('a pod that needs what this node does not declare is rejected', () => {
  const rejected = (missing: string): object => ({
    reason: 'PodFeatureUnsupported',
    message: `Pod was rejected: Pod requires node features that are not available: ${missing}`,
  });
  expect(admitFeatures(needy)).toEqual(rejected('UserNamespacesHostNetworkSupport'));
  expect(admitFeatures(needy, [])).toEqual(
    rejected('RestartAllContainersOnContainerExits, UserNamespacesHostNetworkSupport'),
  );
  expect(admitFeatures({ spec: { ...needy.spec!, hostUsers: true } })).toBeUndefined();
});
