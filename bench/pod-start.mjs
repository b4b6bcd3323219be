// How long a pod takes from create to Ready, and from delete to gone, as a watch sees it. The image must be present.
//   node bench/pod-start.mjs --kubeconfig FILE --image IMAGE [--node NAME] [--serial 30] [--burst 30]
// Prints one JSON line a phase. Works against any Kubernetes cluster, so that two can be compared.
import { quantile } from './kube-rest.mjs';
import { podLab } from './pod-lab.mjs';

const lab = podLab('bench', { serial: '30', burst: '30' });
const { flags, api, podsPath } = lab;
const pod = name =>
  lab.pod(name, {
    ...(flags.node ? { nodeSelector: { 'kubernetes.io/hostname': flags.node } } : {}),
    automountServiceAccountToken: false,
  });

const ready = new Map();
const gone = new Map();
const waiters = new Map();
const settle = (kind, name) => waiters.get(`${kind}/${name}`)?.();
const wait = (kind, name, seen) =>
  seen.has(name) ? Promise.resolve() : new Promise(resolve => waiters.set(`${kind}/${name}`, resolve));

function summarise(phase, values, extra = {}) {
  const round = value => Math.round(value * 10) / 10;
  console.log(
    JSON.stringify({
      phase,
      n: values.length,
      p50ms: round(quantile(values, 0.5)),
      p99ms: round(quantile(values, 0.99)),
      maxMs: round(Math.max(...values)),
      ...extra,
    }),
  );
}

await lab.open();
const stop = api.watch(podsPath, ({ type, object }) => {
  const { name } = object.metadata;
  if (type === 'DELETED') {
    gone.set(name, performance.now());
    settle('gone', name);
  } else if (
    !ready.has(name) &&
    object.status?.conditions?.some(({ type: t, status }) => t === 'Ready' && status === 'True')
  ) {
    ready.set(name, performance.now());
    settle('ready', name);
  }
});

const starts = [];
const ends = [];
for (let i = 0; i < Number(flags.serial); i++) {
  const name = `serial-${i}`;
  const begun = performance.now();
  await api.call('POST', podsPath, pod(name));
  await wait('ready', name, ready);
  starts.push(ready.get(name) - begun);
  const asked = performance.now();
  await api.call('DELETE', `${podsPath}/${name}`);
  await wait('gone', name, gone);
  ends.push(gone.get(name) - asked);
}
summarise('create to Ready, one at a time', starts);
summarise('delete to gone, one at a time', ends);

const names = Array.from({ length: Number(flags.burst) }, (_, i) => `burst-${i}`);
const begun = performance.now();
await Promise.all(names.map(name => api.call('POST', podsPath, pod(name))));
await Promise.all(names.map(name => wait('ready', name, ready)));
summarise(
  'create to Ready, all at once',
  names.map(name => ready.get(name) - begun),
);
const asked = performance.now();
await Promise.all(names.map(name => api.call('DELETE', `${podsPath}/${name}`)));
await Promise.all(names.map(name => wait('gone', name, gone)));
summarise(
  'delete to gone, all at once',
  names.map(name => gone.get(name) - asked),
);

stop();
await lab.close();
process.exit(0);
