// Starts and deletes pods on one node over and over and compares what the node's processes hold before and after: memory,
// open files, mounts, network links, cgroups, files. Needs root on the node's machine.
//   node bench/pod-cycles.mjs --kubeconfig FILE --node NAME [--cycles 10] [--pods 10] [--image IMAGE]
// Prints one JSON line before, after each quarter and at the end, where the node has only what it had; exits with 1 if not.
import fs from 'node:fs';
import { nodeProcesses, rssMb } from './node-processes.mjs';
import { isReady, podLab, sleep, until } from './pod-lab.mjs';

// `match` tells apart the nodes of clusters that share the machine.
const lab = podLab('cycles', { node: 'worker-1', cycles: '10', pods: '10', match: '' });
const { flags, api, podsPath } = lab;

const lines = file => fs.readFileSync(file, 'utf8').split('\n');
const count = (file, pattern) => lines(file).filter(line => pattern.test(line)).length;

function folders(directory) {
  const entries = fs.readdirSync(directory, { withFileTypes: true }).filter(entry => entry.isDirectory());
  return entries.reduce((sum, { name }) => sum + 1 + folders(`${directory}/${name}`), 0);
}

function measure() {
  const pids = nodeProcesses(flags.node, flags.match);
  const root = `/proc/${pids.runtime}/root`;
  const mounts = `/proc/${pids.runtime}/mountinfo`;
  const cgroups = fs.existsSync(`${root}/sys/fs/cgroup/memory/naru`)
    ? `${root}/sys/fs/cgroup/memory/naru`
    : `${root}/sys/fs/cgroup/naru`;
  const each = read => Object.fromEntries(Object.entries(pids).map(([name, pid]) => [name, read(pid)]));
  const rss = each(rssMb);
  return {
    rssMb: { ...rss, all: Math.round(Object.values(rss).reduce((a, b) => a + b, 0) * 10) / 10 },
    fds: each(pid => fs.readdirSync(`/proc/${pid}/fd`).length),
    overlays: count(mounts, / - overlay /),
    pinnedNamespaces: count(mounts, /\/sandboxes\/.* - nsfs /),
    tmpfs: count(mounts, / - tmpfs /),
    links: count(`/proc/${pids.runtime}/net/dev`, /:/),
    routes: count(`/proc/${pids.runtime}/net/route`, /./),
    cgroups: folders(cgroups),
    conmons: fs
      .readdirSync('/proc')
      .filter(pid => /^\d+$/.test(pid))
      .filter(pid => {
        try {
          const same = fs.readlinkSync(`/proc/${pid}/ns/pid`) === fs.readlinkSync(`/proc/${pids.runtime}/ns/pid`);
          return same && /^conmon/.test(fs.readFileSync(`/proc/${pid}/comm`, 'utf8'));
        } catch {
          return false;
        }
      }).length,
  };
}

const pod = name =>
  lab.pod(
    name,
    { nodeName: flags.node, volumes: [{ name: 'scratch', emptyDir: { medium: 'Memory' } }] },
    { volumeMounts: [{ name: 'scratch', mountPath: '/scratch' }] },
  );

await lab.open();
const say = (after, more) => console.log(JSON.stringify({ after, ...more }));
const before = measure();
say('0 pods', before);
const [cycles, perCycle] = [Number(flags.cycles), Number(flags.pods)];
for (let cycle = 1; cycle <= cycles; cycle++) {
  const names = Array.from({ length: perCycle }, (_, i) => `p-${cycle}-${i}`);
  await Promise.all(names.map(name => api.call('POST', podsPath, pod(name))));
  await until('pods ready', async () => {
    const { items } = await api.call('GET', podsPath);
    return items.length === perCycle && items.every(isReady);
  });
  if (cycle === cycles) say(`${cycle * perCycle} pods, ${perCycle} of them running`, measure());
  await Promise.all(names.map(name => api.call('DELETE', `${podsPath}/${name}`)));
  await until('pods gone', async () => (await api.call('GET', podsPath)).items.length === 0);
  if (cycle % Math.ceil(cycles / 4) === 0) say(`${cycle * perCycle} pods`, measure());
}
await lab.close();
// Idle for a moment: garbage is collected then.
await sleep(15_000);
const after = measure();
say(`${cycles * perCycle} pods and 15 s`, after);
const held = ['overlays', 'pinnedNamespaces', 'tmpfs', 'links', 'routes', 'conmons'];
const leaks = held.filter(name => after[name] > before[name]);
// Groups of quality-of-service classes and connections that are kept open may be new, once.
if (after.cgroups > before.cgroups + 3) leaks.push('cgroups');
for (const [name, fds] of Object.entries(after.fds)) if (fds > before.fds[name] + 5) leaks.push(`fds of ${name}`);
if (leaks.length > 0) {
  console.error(`left behind: ${leaks.join(', ')}`);
  process.exit(1);
}
process.exit(0);
