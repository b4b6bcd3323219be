import { parseExposition } from './exposition';
import { UsageStore } from './usage-store';

interface Figures {
  cpu: number;
  memory?: number;
  startMs?: number;
}

/** As a kubelet answers on /metrics/resource. */
function exposition(timeMs: number, node: Figures, containers: Record<string, Figures>): string {
  const lines = [
    '# HELP node_cpu_usage_seconds_total [STABLE] Cumulative cpu time consumed by the node in core-seconds',
    `node_cpu_usage_seconds_total ${node.cpu} ${timeMs}`,
    `node_memory_working_set_bytes ${node.memory ?? 0} ${timeMs}`,
    'resource_scrape_error 0',
  ];
  for (const [key, { cpu, memory = 0, startMs = 0 }] of Object.entries(containers)) {
    const [pod, container] = key.split('/');
    const labels = `{container="${container}",namespace="default",pod="${pod}"}`;
    lines.push(
      `container_cpu_usage_seconds_total${labels} ${cpu} ${timeMs}`,
      `container_memory_working_set_bytes${labels} ${memory} ${timeMs}`,
      `container_start_time_seconds${labels} ${startMs / 1000}`,
    );
  }
  return lines.join('\n');
}

test('use is what was used between the last two readings', () => {
  const store = new UsageStore();
  store.apply('a', exposition(100_000, { cpu: 50, memory: 1e9 }, { 'web/main': { cpu: 1, startMs: 99_000 } }), 0);
  expect(store.ofNode('a')).toBeUndefined();
  expect(store.ofPod('default', 'web')).toBeUndefined();
  store.apply(
    'a',
    exposition(110_000, { cpu: 55, memory: 2e9 }, { 'web/main': { cpu: 3.5, memory: 7e6, startMs: 99_000 } }),
    0,
  );
  expect(store.ofNode('a')).toEqual({ timeMs: 110_000, windowMs: 10_000, cpuCores: 0.5, memoryBytes: 2e9 });
  expect(store.ofPod('default', 'web')?.containers).toEqual([
    { name: 'main', usage: { timeMs: 110_000, windowMs: 10_000, cpuCores: 0.25, memoryBytes: 7e6 } },
  ]);
});

test('a container that runs for a while already counts from its start', () => {
  const store = new UsageStore();
  store.apply('a', exposition(100_000, { cpu: 1 }, { 'web/main': { cpu: 5, startMs: 80_000 } }), 0);
  expect(store.ofPod('default', 'web')?.containers[0]?.usage).toMatchObject({ windowMs: 20_000, cpuCores: 0.25 });
});

test('a container that was started anew does not use less than nothing', () => {
  const store = new UsageStore();
  store.apply('a', exposition(100_000, { cpu: 1 }, { 'web/main': { cpu: 50, startMs: 10_000 } }), 0);
  store.apply('a', exposition(115_000, { cpu: 1 }, { 'web/main': { cpu: 2, startMs: 112_000 } }), 0);
  expect(store.ofPod('default', 'web')).toBeUndefined();
  store.apply('a', exposition(130_000, { cpu: 1 }, { 'web/main': { cpu: 5, startMs: 112_000 } }), 0);
  expect(store.ofPod('default', 'web')?.containers[0]?.usage).toMatchObject({ windowMs: 15_000, cpuCores: 0.2 });
});

test('a pod of which one container has no window yet is left out whole', () => {
  const store = new UsageStore();
  store.apply('a', exposition(100_000, { cpu: 1 }, { 'web/old': { cpu: 5, startMs: 10_000 } }), 0);
  const both = { 'web/old': { cpu: 6, startMs: 10_000 }, 'web/new': { cpu: 0, startMs: 109_000 } };
  store.apply('a', exposition(110_000, { cpu: 1 }, both), 0);
  expect(store.ofPod('default', 'web')).toBeUndefined();
});

test('what a kubelet names no more is forgotten, unless it is on another node now', () => {
  const store = new UsageStore();
  const web = { 'web/main': { cpu: 5, startMs: 10_000 } };
  store.apply('a', exposition(100_000, { cpu: 1 }, web), 0);
  store.apply('b', exposition(101_000, { cpu: 1 }, web), 0);
  store.apply('a', exposition(110_000, { cpu: 1 }, {}), 0);
  expect(store.ofPod('default', 'web')).toBeDefined();
  store.forgetNode('b');
  expect(store.ofPod('default', 'web')).toBeUndefined();
  expect(store.ofNode('b')).toBeUndefined();
});

test('labels are read with their escapes, and broken lines are passed over', () => {
  const text = 'm{a="x\\"y\\\\z\\n",b="{}, "} 1.5e3 99\nm\nm{ 2\nother 3\nm NaN\nm{} +Inf';
  expect([...parseExposition(text, new Set(['m']))]).toEqual([
    { name: 'm', labels: { a: 'x"y\\z\n', b: '{}, ' }, value: 1500, timeMs: 99 },
  ]);
});
