// How fast the scheduler decides, in process and without an api-server: PODS pods of a few ReplicaSets onto NODES nodes.
// Run: npx esbuild bench/scheduler.ts --bundle --platform=node --outfile=dist/bench/scheduler.js && node dist/bench/scheduler.js
import type { ReplicaSet, Stored } from '@naru/api';
import { createLab, makeNode, makePod } from '../apps/scheduler/src/fixtures';

const nodeCount = Number(process.env['NODES'] ?? 1000);
const podCount = Number(process.env['PODS'] ?? 3000);
const none = { get: () => undefined, list: () => [], byIndex: () => [], size: 0 };
const replicaSets = {
  ...none,
  get: ({ name }: { name: string }) =>
    ({ spec: { selector: { matchLabels: { app: name } } } }) as unknown as Stored<ReplicaSet>,
};
const nodes = Array.from({ length: nodeCount }, (_, i) =>
  makeNode(`node-${i}`, { labels: { 'topology.kubernetes.io/zone': `zone-${i % 3}` }, cpu: '16', memory: '32Gi' }),
);
const lab = createLab(nodes, {
  listers: { services: none, statefulSets: none, budgets: none, replicaSets },
  random: Math.random,
});
const pods = Array.from({ length: podCount }, (_, i) => {
  const app = `app-${i % 10}`;
  return makePod({
    name: `pod-${i}`,
    labels: { app },
    owner: { kind: 'ReplicaSet', name: app },
    cpu: '100m',
    memory: '128Mi',
  });
});
for (const pod of pods) lab.scheduler.enqueue(pod, false);
const times: number[] = [];
const startedAt = performance.now();
for (;;) {
  const before = performance.now();
  if (!lab.scheduler.scheduleOne()) break;
  times.push(performance.now() - before);
}
const seconds = (performance.now() - startedAt) / 1000;
times.sort((a, b) => a - b);
const at = (part: number): number => Number(times[Math.floor(times.length * part)]?.toFixed(3));
console.log(
  JSON.stringify({
    subject: 'scheduler decisions',
    nodes: nodeCount,
    pods: podCount,
    podsPerSecond: Math.round(podCount / seconds),
    cycleMs: { p50: at(0.5), p99: at(0.99), max: at(0.9999) },
    rssMb: Math.round(process.memoryUsage().rss / 1e6),
    placed: lab.scheduler.cache.podCount,
  }),
);
process.exit(0);
