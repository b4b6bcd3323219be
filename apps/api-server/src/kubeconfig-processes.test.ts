import { ShippedPrograms } from './testing/shipped-programs';
import { eventually, startTestServer, type TestServer } from './testing/test-server';

let server: TestServer;
const names = ['scheduler', 'controller-manager'];
const programs = new ShippedPrograms(...names);

beforeAll(async () => {
  server = await startTestServer();
  // They know nothing but a kubeconfig.
  for (const name of names)
    programs.start(name, ['--kubeconfig', server.files.kubeconfigOf(name), '--health-address', '127.0.0.1:0']);
});
afterAll(async () => {
  programs.close();
  await server.close();
});

test('the scheduler and the controllers work against a REST door alone, with a kubeconfig and without a bus', async () => {
  const node = {
    metadata: { name: 'n1' },
    status: {
      capacity: { cpu: '4', memory: '8Gi', pods: '110' },
      allocatable: { cpu: '4', memory: '8Gi', pods: '110' },
      conditions: [{ type: 'Ready', status: 'True', lastHeartbeatTime: new Date().toISOString() }],
    },
  };
  expect((await server.call('POST', '/api/v1/nodes', node)).code).toBe(201);
  const labels = { app: 'web' };
  const deployment = {
    metadata: { name: 'web' },
    spec: {
      replicas: 3,
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        // A node that no kubelet renews is tainted.
        spec: { containers: [{ name: 'c', image: 'i' }], tolerations: [{ operator: 'Exists' }] },
      },
    },
  };
  const base = '/apis/apps/v1/namespaces/default/deployments';
  expect((await server.call('POST', base, deployment)).code).toBe(201);
  interface Pod {
    metadata: { name: string; deletionTimestamp?: string };
    spec: { nodeName?: string };
  }
  const placed = async (): Promise<Pod[]> => {
    const { json } = await server.call('GET', '/api/v1/namespaces/default/pods?labelSelector=app=web');
    return (json['items'] as Pod[]).filter(
      ({ spec, metadata }) => spec.nodeName === 'n1' && !metadata.deletionTimestamp,
    );
  };
  await eventually(async () => (await placed()).length === 3 || undefined).catch((cause: unknown) => {
    throw new Error(`the pods were not placed; the processes said:\n${programs.log}`, { cause });
  });
  // And what changes later is heard of.
  const headers = { 'content-type': 'application/merge-patch+json' };
  await server.call('PATCH', `${base}/web`, { spec: { replicas: 5 } }, { headers });
  await eventually(async () => (await placed()).length === 5 || undefined);
  await server.call('DELETE', `${base}/web?propagationPolicy=Background`);
  await eventually(async () => (await placed()).length === 0 || undefined);
  const leases = await server.call('GET', '/apis/coordination.k8s.io/v1/namespaces/kube-system/leases');
  const names = (leases.json['items'] as Pod[]).map(({ metadata }) => metadata.name);
  expect(names).toEqual(expect.arrayContaining(['kube-controller-manager', 'kube-scheduler']));
});

test.each([
  [['--kubeconfig', '/does/not/exist'], /ENOENT|no such file/],
  [[], /flag --api-server is required without --kubeconfig/],
])('a process says what is wrong with %j', async (flags, message) => {
  const child = programs.start('scheduler', flags);
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream!.on('data', (part: Buffer) => (said += part.toString()));
  const code = await new Promise(resolve => child.once('close', resolve));
  expect(code).not.toBe(0);
  expect(said).toMatch(message);
});
