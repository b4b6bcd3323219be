import { createLab, makeNode, restartAll } from '../fixtures';

const taint = (key: string, effect = 'NoSchedule') => [{ key, value: 'v', effect }];

test('a pod that fits nowhere is told why, in the words and order of upstream', () => {
  const lab = createLab([
    makeNode('a', { taints: taint('k') }),
    makeNode('b', { cpu: '1' }),
    makeNode('c', { cpu: '1' }),
    makeNode('d', { unschedulable: true }),
  ]);
  expect(lab.schedule({ cpu: '2' }).message).toBe(
    '0/4 nodes are available: 1 node(s) had untolerated taint {k: v}, 1 node(s) were unschedulable, 2 Insufficient cpu.',
  );
});

test('an empty cluster has no nodes available', () => {
  expect(createLab([]).schedule({}).message).toBe('no nodes available to schedule pods');
});

test('tolerations let a pod onto tainted and cordoned nodes', () => {
  const lab = createLab([makeNode('a', { taints: taint('k'), unschedulable: true })]);
  expect(lab.schedule({ tolerations: [{ operator: 'Exists' }] })).toEqual({ node: 'a' });
});

test('nodeSelector and required node affinity choose the node', () => {
  const lab = createLab([makeNode('a'), makeNode('b', { labels: { disk: 'ssd', gen: '7' } })]);
  expect(lab.schedule({ nodeSelector: { disk: 'ssd' } })).toEqual({ node: 'b' });
  const require = (operator: string, values: string[]) => ({
    nodeAffinity: {
      requiredDuringSchedulingIgnoredDuringExecution: {
        nodeSelectorTerms: [{ matchExpressions: [{ key: 'gen', operator, values }] }],
      },
    },
  });
  expect(lab.schedule({ affinity: require('Gt', ['6']) })).toEqual({ node: 'b' });
  expect(lab.schedule({ affinity: require('Lt', ['7']) }).message).toBe(
    "0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector.",
  );
});

test('a pod goes only where the features that it needs are declared', () => {
  const lab = createLab([makeNode('a'), makeNode('b', { declaredFeatures: [restartAll.feature] })]);
  expect(lab.schedule(restartAll.pod)).toEqual({ node: 'b' });
  expect(createLab([makeNode('a')]).schedule(restartAll.pod).message).toBe(
    "0/1 nodes are available: 1 node(s) didn't match Pod's required features.",
  );
});

test('a pod pinned by metadata.name looks at that node only', () => {
  const lab = createLab([makeNode('a'), makeNode('b')]);
  const pin = (name: string) => ({
    nodeAffinity: {
      requiredDuringSchedulingIgnoredDuringExecution: {
        nodeSelectorTerms: [{ matchFields: [{ key: 'metadata.name', operator: 'In', values: [name] }] }],
      },
    },
  });
  expect(lab.schedule({ affinity: pin('b') })).toEqual({ node: 'b' });
  expect(lab.schedule({ affinity: pin('x') }).message).toContain("didn't satisfy plugin(s) [NodeAffinity]");
});

test('host ports are given once per node', () => {
  const lab = createLab([makeNode('a'), makeNode('b')]);
  const nodes = [lab.schedule({ hostPort: 80 }).node, lab.schedule({ hostPort: 80 }).node];
  expect(nodes.sort()).toEqual(['a', 'b']);
  expect(lab.schedule({ hostPort: 80 }).message).toBe(
    "0/2 nodes are available: 2 node(s) didn't have free ports for the requested pod ports.",
  );
});

test('assumed pods count: a node is not given more than it has', () => {
  const lab = createLab([makeNode('a', { cpu: '2', pods: '3' })]);
  expect(lab.schedule({ cpu: '1500m' })).toEqual({ node: 'a' });
  expect(lab.schedule({ cpu: '1' }).message).toBe('0/1 nodes are available: 1 Insufficient cpu.');
  lab.schedule({});
  lab.schedule({});
  expect(lab.schedule({ cpu: '1' }).message).toBe('0/1 nodes are available: 1 Insufficient cpu, 1 Too many pods.');
});

test('a gated pod waits until its gates are gone', () => {
  const lab = createLab([makeNode('a')]);
  expect(lab.schedule({ schedulingGates: [{ name: 'wait' }] })).toEqual({});
  expect(lab.scheduler.queue.pending.gated).toBe(1);
});

describe('topology spread, DoNotSchedule', () => {
  const spread = (extra = {}) => ({
    labels: { app: 'x' },
    topologySpreadConstraints: [
      {
        maxSkew: 1,
        topologyKey: 'zone',
        whenUnsatisfiable: 'DoNotSchedule',
        labelSelector: { matchLabels: { app: 'x' } },
        ...extra,
      },
    ],
  });
  const zone = (name: string) => ({ labels: { zone: name } });

  test('keeps the skew', () => {
    const lab = createLab([makeNode('a', zone('1')), makeNode('b', zone('2'))]);
    lab.place('a', { labels: { app: 'x' } });
    expect(lab.schedule(spread())).toEqual({ node: 'b' });
  });

  test('refuses when only the crowded domain has room', () => {
    const lab = createLab([makeNode('a', zone('1')), makeNode('b', { ...zone('2'), cpu: '1' }), makeNode('c')]);
    lab.place('a', { labels: { app: 'x' } });
    expect(lab.schedule({ ...spread(), cpu: '2' }).message).toBe(
      "0/3 nodes are available: 1 Insufficient cpu, 1 node(s) didn't match pod topology spread constraints, " +
        "1 node(s) didn't match pod topology spread constraints (missing required label).",
    );
  });

  test('minDomains counts missing domains as empty', () => {
    const lab = createLab([makeNode('a', zone('1'))]);
    lab.place('a', { labels: { app: 'x' } });
    expect(lab.schedule(spread({ minDomains: 2 })).message).toContain('topology spread constraints');
    expect(lab.schedule(spread())).toEqual({ node: 'a' });
  });
});

describe('inter-pod affinity', () => {
  const term = (app: string, topologyKey = 'kubernetes.io/hostname') => ({
    requiredDuringSchedulingIgnoredDuringExecution: [{ topologyKey, labelSelector: { matchLabels: { app } } }],
  });

  test('brings a pod to the node of another', () => {
    const lab = createLab([makeNode('a'), makeNode('b')]);
    lab.place('b', { labels: { app: 'db' } });
    expect(lab.schedule({ affinity: { podAffinity: term('db') } })).toEqual({ node: 'b' });
    expect(lab.schedule({ affinity: { podAffinity: term('none') } }).message).toBe(
      "0/2 nodes are available: 2 node(s) didn't match pod affinity rules.",
    );
  });

  test('lets the first of a self-affine group go anywhere', () => {
    const lab = createLab([makeNode('a'), makeNode('b')]);
    const input = { labels: { app: 'x' }, affinity: { podAffinity: term('x') } };
    const first = lab.schedule(input).node;
    expect(lab.schedule(input).node).toBe(first);
  });

  test('keeps pods apart, in both directions', () => {
    const lab = createLab([makeNode('a'), makeNode('b')]);
    const input = { labels: { app: 'x' }, affinity: { podAntiAffinity: term('x') } };
    expect([lab.schedule(input).node, lab.schedule(input).node].sort()).toEqual(['a', 'b']);
    expect(lab.schedule(input).message).toBe(
      "0/2 nodes are available: 2 node(s) didn't match pod anti-affinity rules.",
    );
    expect(lab.schedule({ labels: { app: 'x' } }).message).toBe(
      "0/2 nodes are available: 2 node(s) didn't satisfy existing pods anti-affinity rules.",
    );
  });
});
