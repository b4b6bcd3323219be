import type { Node, Pod } from '@naru/api';
import { admit } from './admission';

const node: Node = {
  metadata: { name: 'n1', labels: { disk: 'ssd' } },
  spec: { taints: [{ key: 'gone', effect: 'NoExecute' }] },
  status: { allocatable: { cpu: '1', memory: '1Gi', pods: '2' } },
};

const port = (hostIP?: string, protocol?: string) => ({
  containers: [{ name: 'a', ports: [{ containerPort: 80, hostPort: 80, hostIP, protocol }] }],
});

const pod = (spec: Partial<NonNullable<Pod['spec']>>, cpu?: string): Pod => ({
  spec: {
    tolerations: [{ operator: 'Exists' }],
    containers: [{ name: 'a', ...(cpu ? { resources: { requests: { cpu } } } : {}) }],
    ...spec,
  },
});

describe('admit', () => {
  it.each([
    [pod({ nodeSelector: { disk: 'ssd' } }), [], undefined],
    [pod({ nodeSelector: { disk: 'tape' } }), [], 'NodeAffinity'],
    [pod({ tolerations: [] }), [], 'TaintToleration'],
    [pod({ securityContext: { supplementalGroupsPolicy: 'Merge' } }), [], undefined],
    [pod({ securityContext: { supplementalGroupsPolicy: 'Strict' } }), [], 'SupplementalGroupsPolicyNotSupported'],
    [pod({}, '1'), [], undefined],
    [pod({}, '600m'), [pod({}, '500m')], 'OutOfcpu'],
    [pod({}), [pod({}), pod({})], 'OutOfpods'],
    [pod(port()), [pod(port('10.0.0.1'))], 'NodePorts'],
    [pod(port('10.0.0.1')), [pod(port('10.0.0.2'))], undefined],
    [pod(port()), [pod(port(undefined, 'UDP'))], undefined],
  ])('of %j beside %j gives %s', (input, others, reason) => {
    expect(admit(input, node, others)?.reason).toBe(reason);
  });

  it('counts what another pod still has, though it is to have less', () => {
    const shrinking: Pod = {
      ...pod({}, '100m'),
      status: {
        containerStatuses: [
          {
            ...{ name: 'a', image: 'a', imageID: '', ready: true, restartCount: 0 },
            resources: { requests: { cpu: '700m' } },
          },
        ],
      },
    };
    expect(admit(pod({}, '500m'), node, [shrinking])?.message).toContain(
      'cpu, requested: 500, used: 700, capacity: 1000',
    );
  });

  it('leaves a resource that the node does not know to the scheduler', () => {
    const resources = { requests: { 'example.com/licence': '4' } };
    expect(admit(pod({ containers: [{ name: 'a', resources }] }), node, [])).toBeUndefined();
  });

  it('says how much is missing', () => {
    expect(admit(pod({}, '600m'), node, [pod({}, '500m')])?.message).toBe(
      "Pod was rejected: Node didn't have enough resource: cpu, requested: 600, used: 500, capacity: 1000",
    );
  });
});
