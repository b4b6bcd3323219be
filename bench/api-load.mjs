// Load on a Kubernetes API server, of any kind: the phases of a small cluster's day, one JSON line each.
//   node bench/api-load.mjs --server https://127.0.0.1:6443 --token T [--pid PID] [--only phase,...]
// With --pid each line also says what the server's process used: CPU seconds and resident megabytes.
import https from 'node:https';
import { parseArgs } from 'node:util';
import { cpuSeconds, residentMB } from './dev-server.mjs';

const { values: given } = parseArgs({
  options: {
    server: { type: 'string', default: 'https://127.0.0.1:6443' },
    token: { type: 'string', default: 'dev-token' },
    pid: { type: 'string' },
    only: { type: 'string' },
    objects: { type: 'string', default: '2000' },
    pods: { type: 'string', default: '5000' },
    clients: { type: 'string', default: '32' },
    watchers: { type: 'string', default: '50' },
    updates: { type: 'string', default: '200' },
  },
});
const [objects, pods, clients, watchers, updates] = ['objects', 'pods', 'clients', 'watchers', 'updates'].map(name =>
  Number(given[name]),
);
const only = given.only?.split(',');
const { hostname, port } = new URL(given.server);
const target = { hostname, port, rejectUnauthorized: false };
const agent = new https.Agent({ keepAlive: true, maxSockets: clients, rejectUnauthorized: false });
const watchAgent = new https.Agent({ keepAlive: true, rejectUnauthorized: false });
const authorization = `Bearer ${given.token}`;

function call(method, path, body, { type = 'application/json', keep = true } = {}) {
  const data = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
  const headers = { authorization, ...(data ? { 'content-type': type, 'content-length': data.length } : {}) };
  return new Promise((resolve, reject) => {
    const request = https.request({ ...target, method, path, agent, headers }, response => {
      const parts = [];
      response.on('data', part => (keep || response.statusCode >= 400 ? parts.push(part) : undefined));
      response.on('error', reject);
      response.on('end', () => {
        const text = Buffer.concat(parts).toString();
        if (response.statusCode < 400) resolve(text);
        else reject(new Error(`${method} ${path}: ${response.statusCode} ${text.slice(0, 300)}`));
      });
    });
    request.on('error', reject);
    request.end(data);
  });
}

const at = (sorted, share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];

function report(phase, latencies, seconds, cpu) {
  latencies.sort((a, b) => a - b);
  const row = {
    phase,
    n: latencies.length,
    perSecond: Math.round(latencies.length / seconds),
    p50Ms: +at(latencies, 0.5).toFixed(2),
    p99Ms: +at(latencies, 0.99).toFixed(2),
  };
  if (given.pid) {
    row.serverCpuUsEach = Math.round(((cpuSeconds(given.pid) - cpu) * 1e6) / latencies.length);
    row.residentMB = residentMB(given.pid);
  }
  console.log(JSON.stringify(row));
}

/** Runs `work(i)` for each i below `count`, `width` at a time. */
async function phase(name, count, work, width = clients) {
  if (only && !only.includes(name)) return;
  const latencies = [];
  const cpu = given.pid && cpuSeconds(given.pid);
  const begun = performance.now();
  let next = 0;
  const worker = async () => {
    while (next < count) {
      const i = next++;
      const start = performance.now();
      await work(i);
      latencies.push(performance.now() - start);
    }
  };
  await Promise.all(Array.from({ length: Math.min(width, count) }, worker));
  report(name, latencies, (performance.now() - begun) / 1000, cpu);
}

const namespace = `bench-${Date.now().toString(36)}`;
const base = `/api/v1/namespaces/${namespace}`;

const container = (name, containerPort) => ({
  name,
  image: 'registry.local/shop/front:2.4.1',
  args: ['--listen', `:${containerPort}`],
  env: Array.from({ length: 8 }, (_, i) => ({ name: `SETTING_${i}`, value: `${i}`.repeat(24) })),
  ports: [{ name: `${name}-http`, containerPort }],
  resources: { requests: { cpu: '100m', memory: '64Mi' }, limits: { cpu: '500m', memory: '128Mi' } },
  readinessProbe: { httpGet: { path: '/healthz', port: containerPort }, periodSeconds: 5 },
  volumeMounts: [{ name: 'scratch', mountPath: '/scratch' }],
});
const pod = i => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: {
    name: `pod-${i}`,
    namespace,
    labels: { app: `app-${i % 20}`, tier: 'front', release: 'stable' },
    annotations: { description: 'd'.repeat(200) },
  },
  spec: {
    automountServiceAccountToken: false,
    nodeName: `node-${i % 100}`,
    terminationGracePeriodSeconds: 0,
    containers: [container('front', 8080), container('sidecar', 9090)],
    volumes: [{ name: 'scratch', emptyDir: {} }],
  },
});
const configMap = (name, data) => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace }, data });
const merge = { type: 'application/merge-patch+json' };
const unread = { keep: false };

/** One object is updated again and again; every watcher must hear of each update. */
async function fanOut() {
  if (only && !only.includes('watch-fan-out')) return;
  const list = JSON.parse(await call('GET', `${base}/configmaps?limit=1`));
  const latencies = [];
  const sent = [];
  const open = Array.from({ length: watchers }, () => {
    const path = `${base}/configmaps?watch=1&resourceVersion=${list.metadata.resourceVersion}`;
    return new Promise((resolve, reject) => {
      const request = https.request({ ...target, path, agent: watchAgent, headers: { authorization } }, response => {
        resolve(request);
        let rest = '';
        response.on('error', () => undefined);
        response.setEncoding('utf8').on('data', part => {
          const lines = (rest + part).split('\n');
          rest = lines.pop();
          for (const line of lines) {
            const mark = /"mark":"(\d+)"/.exec(line);
            if (mark) latencies.push(performance.now() - sent[mark[1]]);
          }
        });
      });
      request.on('error', reject);
      request.end();
    });
  });
  const requests = await Promise.all(open);
  await call('POST', `${base}/configmaps`, configMap('mark', {}));
  const cpu = given.pid && cpuSeconds(given.pid);
  const begun = performance.now();
  for (let i = 0; i < updates; i++) {
    sent[i] = performance.now();
    await call('PATCH', `${base}/configmaps/mark`, { data: { mark: String(i) } }, merge);
  }
  while (latencies.length < updates * watchers) await new Promise(resolve => setTimeout(resolve, 1));
  report('watch-fan-out', latencies, (performance.now() - begun) / 1000, cpu);
  for (const request of requests) request.on('error', () => undefined).destroy();
}

await call('POST', '/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
// Some servers want it to be there before the first pod, and have a controller that makes it, or not.
const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default', namespace } };
await call('POST', `${base}/serviceaccounts`, account).catch(() => undefined);
await phase('create-configmap', objects, i =>
  call('POST', `${base}/configmaps`, configMap(`c-${i}`, { blob: 'b'.repeat(2048) })),
);
await phase('create-pod', pods, i => call('POST', `${base}/pods`, pod(i)));
await phase('get-pod', 2 * objects, i => call('GET', `${base}/pods/pod-${i % pods}`));
await phase('get-pod-serial', 500, i => call('GET', `${base}/pods/pod-${i % pods}`), 1);
await phase('list-all', 10, () => call('GET', `${base}/pods`, undefined, unread), 2);
await phase('list-all-rv0', 10, () => call('GET', `${base}/pods?resourceVersion=0`, undefined, unread), 2);
await phase('list-page-500', 20, () => call('GET', `${base}/pods?limit=500`, undefined, unread), 4);
await phase('list-label', 40, () => call('GET', `${base}/pods?labelSelector=app%3Dapp-3`, undefined, unread), 4);
await phase(
  'list-node',
  100,
  i => call('GET', `/api/v1/pods?fieldSelector=spec.nodeName%3Dnode-${i % 100}`, undefined, unread),
  4,
);
const ready = { type: 'Ready', status: 'True', lastTransitionTime: '2026-01-01T00:00:00Z' };
await phase('patch-status', objects, i => {
  const status = { phase: 'Running', podIP: `10.1.${(i >> 8) & 255}.${i & 255}`, conditions: [ready] };
  return call(
    'PATCH',
    `${base}/pods/pod-${i % pods}/status`,
    { status },
    { type: 'application/strategic-merge-patch+json' },
  );
});
await fanOut();
await phase('delete-pod', objects, i => call('DELETE', `${base}/pods/pod-${i}?gracePeriodSeconds=0`));
agent.destroy();
watchAgent.destroy();
