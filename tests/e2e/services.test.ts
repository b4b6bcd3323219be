import { eventually } from '@naru/testing';
import { apply, ask, createNamespace, kubectl, run } from './cluster';
import { answeringNode, webDaemonSet } from './web-daemon-set';

const namespace = 'services';

const manifest = `${webDaemonSet(18_080)}
apiVersion: v1
kind: Service
metadata: { name: web }
spec: { type: LoadBalancer, selector: { app: web }, ports: [{ port: 80, targetPort: http }] }
`;

const own = (...args: string[]): Promise<string> => ask('-n', namespace, ...args);
const patch = (spec: object): Promise<unknown> => own('patch', 'service', 'web', '-p', JSON.stringify({ spec }));
const field = (path: string): Promise<string> => own('get', 'service', 'web', '-o', `jsonpath={${path}}`);

/** Asked from this machine, which is outside the cluster; answers the node of the pod that answered. */
async function servedBy(host: string, port: string | number = 80, connectSeconds = 10): Promise<string> {
  const limits = ['--connect-timeout', `${connectSeconds}`, '--max-time', '20'];
  const { stdout } = await run('curl', ['--silent', '--fail', ...limits, `http://${host}:${port}/`]);
  return answeringNode(stdout);
}

/** Waits until nobody answers. */
const expectUnserved = (host: string, port?: string | number): Promise<void> =>
  eventually(() => expect(servedBy(host, port, 2)).rejects.toThrow());

/** Waits until many questions are answered by exactly these nodes. */
async function expectServed(nodes: string[], host: string, port: string | number, times = 30): Promise<void> {
  await eventually(async () => {
    const answers = await Promise.all(Array.from({ length: times }, () => servedBy(host, port)));
    expect([...new Set(answers)].sort()).toEqual([...nodes].sort());
  });
}

let workers: { name: string; ip: string }[] = [];
const names = (): string[] => workers.map(({ name }) => name);

beforeAll(async () => {
  await createNamespace(namespace);
  await apply(manifest, '-n', namespace);
  await own('rollout', 'status', 'daemonset/web', '--timeout=120s');
  const range = '{range .items[*]}{.metadata.name} {.status.addresses[?(@.type=="InternalIP")].address}{"\\n"}{end}';
  workers = (await ask('get', 'nodes', '-o', `jsonpath=${range}`)).split('\n').map(line => {
    const [name = '', ip = ''] = line.split(' ');
    return { name, ip };
  });
});
afterAll(() => kubectl(['delete', 'namespace', namespace, '--wait=false', '--ignore-not-found']));

test("a load balancer's address is reached from outside and leads to the pods of every node", async () => {
  const address = await eventually(async () => {
    const ip = await field('.status.loadBalancer.ingress[0].ip');
    expect(ip).not.toBe('');
    return ip;
  });
  await expectServed(names(), address, 80);
});

test('a node port of every node leads to the pods of every node, and with the policy Local to its own', async () => {
  const nodePort = await field('.spec.ports[0].nodePort');
  for (const { ip } of workers) await expectServed(names(), ip, nodePort);
  await patch({ externalTrafficPolicy: 'Local' });
  for (const { name, ip } of workers) await expectServed([name], ip, nodePort);
});

test('the health check node port says which nodes have endpoints', async () => {
  const port = await field('.spec.healthCheckNodePort');
  const [first] = workers;
  const check = async (): Promise<unknown> => {
    const { stdout } = await run('curl', ['--silent', '--max-time', '10', `http://${first?.ip}:${port}/healthz`]);
    return JSON.parse(stdout);
  };
  const service = { namespace, name: 'web' };
  await eventually(async () =>
    expect(await check()).toEqual({ service, localEndpoints: 1, serviceProxyHealthy: true }),
  );
  await patch({ selector: { app: 'nobody' } });
  await eventually(async () => expect(await check()).toMatchObject({ localEndpoints: 0 }));
  await patch({ selector: { app: 'web' }, externalTrafficPolicy: 'Cluster' });
});

test("source ranges keep others from a load balancer's address", async () => {
  const address = await field('.status.loadBalancer.ingress[0].ip');
  await eventually(() => servedBy(address));
  await patch({ loadBalancerSourceRanges: ['203.0.113.0/24'] });
  await expectUnserved(address);
  await patch({ loadBalancerSourceRanges: null });
  await eventually(() => servedBy(address));
});

test('traffic stays on the node of who asks when the distribution prefers it', async () => {
  await patch({ trafficDistribution: 'PreferSameNode' });
  const clusterIp = await field('.spec.clusterIP');
  for (const { name } of workers) {
    const pod = await own('get', 'pods', '-o', 'name', `--field-selector=spec.nodeName=${name}`);
    const loop = `for i in 1 2 3 4 5 6 7 8 9 10; do timeout 5 wget -q -O - http://${clusterIp}/; done`;
    await eventually(async () => {
      const lines = (await own('exec', pod, '--', 'sh', '-c', loop)).trim().split('\n');
      expect(new Set(lines.map(line => / on (\S+), /.exec(line)?.[1]))).toEqual(new Set([name]));
    });
  }
});

test("a host port leads to the node's own pod", async () => {
  for (const { name, ip } of workers) await expectServed([name], ip, 18_080, 5);
});

test('a Service that is no load balancer any more gives its address back', async () => {
  const address = await field('.status.loadBalancer.ingress[0].ip');
  await patch({ type: 'ClusterIP' });
  await eventually(async () => expect(await field('.status.loadBalancer')).toBe('{}'));
  await expectUnserved(address);
});

const unready = `
apiVersion: v1
kind: Pod
metadata: { name: unready, labels: { app: unready } }
spec:
  terminationGracePeriodSeconds: 0
  containers:
    - name: main
      image: naru.dev/web:v1
      env: [{ name: NODE_NAME, valueFrom: { fieldRef: { fieldPath: spec.nodeName } } }]
      readinessProbe: { exec: { command: ['false'] }, periodSeconds: 1 }
---
apiVersion: v1
kind: Service
metadata: { name: published }
spec: { type: NodePort, publishNotReadyAddresses: true, selector: { app: unready }, ports: [{ port: 8080 }] }
---
apiVersion: v1
kind: Service
metadata: { name: hidden }
spec: { type: NodePort, selector: { app: unready }, ports: [{ port: 8080 }] }
`;

test('a Service that publishes addresses which are not ready leads to them, and no other does', async () => {
  await apply(unready, '-n', namespace);
  const nodePort = (name: string) => own('get', 'service', name, '-o', 'jsonpath={.spec.ports[0].nodePort}');
  const pod = await eventually(async () => {
    const [node = '', ready] = (
      await own('get', 'pod', 'unready', '-o', 'jsonpath={.spec.nodeName} {.status.containerStatuses[0].ready}')
    ).split(' ');
    expect(ready).toBe('false');
    return { node };
  });
  const [published, hidden] = [await nodePort('published'), await nodePort('hidden')];
  for (const { ip } of workers) await eventually(async () => expect(await servedBy(ip, published)).toBe(pod.node));
  // At no time: one look is enough, and an answer must be seen.
  for (const { ip } of workers) await expect(servedBy(ip, hidden, 2)).rejects.toThrow();
});
