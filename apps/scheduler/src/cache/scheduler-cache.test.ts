import { makeNode, makePod } from '../fixtures';
import { createPodInfo, type PodInfo } from './pod-info';
import type { PodSelection } from './pod-counters';
import { SchedulerCache } from './scheduler-cache';

const zoneKey = 'topology.kubernetes.io/zone';
const keys = ['kubernetes.io/hostname', zoneKey];
const selection: PodSelection = {
  id: 'app x',
  matches: pod => pod.metadata?.labels?.['app'] === 'x',
  countTerminating: true,
};

function affinePod(name: string, app: string): PodInfo {
  const term = (topologyKey: string) => ({ topologyKey, labelSelector: { matchLabels: { app } } });
  const affinity = {
    podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [term(zoneKey)] },
    podAntiAffinity: {
      preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 3, podAffinityTerm: term(keys[0]!) }],
    },
  };
  return createPodInfo(makePod({ name, labels: { app }, affinity }));
}

/** All that the plugins are told about where pods are. */
function counted(cache: SchedulerCache) {
  const sorted = (counts: ReadonlyMap<string, number>) => Object.fromEntries([...counts].sort());
  const matching = cache.counters.count(selection);
  return {
    byNode: sorted(matching.byNode),
    domains: keys.map(key => sorted(matching.inDomains(key))),
    terms: (['required', 'preferredAnti'] as const).map(kind =>
      [...cache.affinityTerms.of(kind)]
        .map(({ term, counts }) => `${term.id} ${JSON.stringify(sorted(counts.inDomains(term.topologyKey)))}`)
        .sort(),
    ),
    topology: keys.map(key => [...cache.topology.domains(key).names].sort()),
  };
}

test('what is counted stays right while pods and nodes come, go and get other labels', () => {
  let seed = 7;
  const random = (n: number): number => {
    seed = (seed * 1103515245 + 12345) % 2 ** 31;
    return Math.floor((seed / 2 ** 31) * n);
  };
  const cache = new SchedulerCache();
  const nodes = new Map<string, ReturnType<typeof makeNode>>();
  const pods = new Map<string, { info: PodInfo; node: string }>();
  const steps = [
    () => {
      const node = makeNode(`n${random(6)}`, random(4) > 0 ? { labels: { [zoneKey]: `z${random(3)}` } } : {});
      nodes.set(node.metadata.name, node);
      cache.setNode(node);
    },
    () => {
      const info = affinePod(`p${random(20)}`, random(2) > 0 ? 'x' : 'y');
      const node = `n${random(6)}`;
      pods.set(info.uid, { info, node });
      cache.setPod(info, node);
    },
    () => {
      const uid = `uid-p${random(20)}`;
      pods.delete(uid);
      cache.removePod(uid);
    },
    () => {
      if (random(4) > 0) return;
      const name = `n${random(6)}`;
      nodes.delete(name);
      cache.removeNode(name);
    },
  ];
  for (let i = 0; i < 500; i++) {
    steps[random(steps.length)]!();
    if (i % 5 > 0) continue;
    const anew = new SchedulerCache();
    for (const node of nodes.values()) anew.setNode(node);
    for (const { info, node } of pods.values()) anew.setPod(info, node);
    expect(counted(cache)).toEqual(counted(anew));
  }
  expect(pods.size).toBeGreaterThan(3);
});
