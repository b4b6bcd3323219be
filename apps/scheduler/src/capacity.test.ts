import { createLab, makeNode, type PodInput } from './fixtures';

// The cases by which the scheduler is often explained.

/** A machine of 16 GB of which 1 GB is kept for the system: what it says is allocatable. */
const machine = makeNode('machine', { cpu: '8', memory: '15Gi' });

test('on a 16 GB node with 1 GB reserved and 2 + 1 + 4 GB requested, 8 GB fit and 10 GB do not, for want of memory', () => {
  const lab = createLab([machine]);
  for (const memory of ['2Gi', '1Gi', '4Gi']) expect(lab.schedule({ memory })).toEqual({ node: 'machine' });
  expect(lab.schedule({ memory: '10Gi' }).message).toBe('0/1 nodes are available: 1 Insufficient memory.');
  expect(lab.schedule({ memory: '8Gi' })).toEqual({ node: 'machine' });
});

test('what a pod uses does not count, what it requests does', () => {
  const lab = createLab([machine]);
  // A limit alone was made a request by the api-server; without either a pod fits anywhere.
  for (let i = 0; i < 20; i++) expect(lab.schedule({})).toEqual({ node: 'machine' });
  expect(lab.schedule({ memory: '15Gi' })).toEqual({ node: 'machine' });
});

const gpuTaint = { key: 'gpu', value: 'true', effect: 'NoSchedule' };
const gpuPod: PodInput = {
  tolerations: [{ key: 'gpu', operator: 'Equal', value: 'true', effect: 'NoSchedule' }],
  nodeSelector: { gpu: 'true' },
};

test('a GPU node tainted gpu=true takes only GPU pods, and GPU pods go there only', () => {
  const lab = createLab([
    makeNode('gpu', { taints: [gpuTaint], labels: { gpu: 'true' }, cpu: '2' }),
    makeNode('plain', { cpu: '2' }),
  ]);
  expect(lab.schedule({ cpu: '1' })).toEqual({ node: 'plain' });
  expect(lab.schedule({ ...gpuPod, cpu: '1' })).toEqual({ node: 'gpu' });
  lab.schedule({ cpu: '1' });
  expect(lab.schedule({ cpu: '1' }).message).toBe(
    '0/2 nodes are available: 1 Insufficient cpu, 1 node(s) had untolerated taint {gpu: true}.',
  );
  expect(lab.schedule({ ...gpuPod, cpu: '2' }).message).toBe(
    "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) didn't match Pod's node affinity/selector.",
  );
});
