import http2 from 'node:http2';
import { describeKubectl, Kubectl } from '../testing/kubectl';
import { startTestServer, type TestServer } from '../testing/test-server';

// A server without controllers: what kubectl shows is what the api-server alone answers.
const manifest = `
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  replicas: 2
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec:
      containers:
      - name: web
        image: example/web:1
        ports: [{ containerPort: 8080 }]
---
apiVersion: v1
kind: Service
metadata: { name: web }
spec:
  type: NodePort
  selector: { app: web }
  ports: [{ port: 80, targetPort: 8080 }]
`;

describeKubectl('kubectl', () => {
  let api: TestServer;
  let kubectl: Kubectl;

  beforeAll(async () => {
    api = await startTestServer();
    kubectl = new Kubectl(api);
    await kubectl.ask('create', 'serviceaccount', 'default');
  });
  afterAll(() => api.close());

  test('applies, and applies again without a change or with one', async () => {
    const at = kubectl.file('web.yaml', manifest);
    expect(await kubectl.ask('apply', '-f', at)).toBe('deployment.apps/web created\nservice/web created\n');
    expect(await kubectl.ask('apply', '-f', at)).toBe('deployment.apps/web unchanged\nservice/web unchanged\n');
    const changed = kubectl.file('web2.yaml', manifest.replace('example/web:1', 'example/web:2'));
    expect(await kubectl.ask('diff', '-f', changed).catch((error: { stdout: string }) => error.stdout)).toContain(
      '+      - image: example/web:2',
    );
    expect(await kubectl.ask('apply', '-f', changed)).toContain('deployment.apps/web configured');
  });

  test('gets, in every form', async () => {
    expect(await kubectl.ask('get', 'deployments')).toMatch(/NAME +READY +UP-TO-DATE +AVAILABLE +AGE\nweb +0\/2/);
    expect(await kubectl.ask('get', 'all', '-o', 'wide')).toMatch(
      /service\/web +NodePort +10\.96\.\d+\.\d+ +<none> +80:3\d+\/TCP/,
    );
    expect(await kubectl.ask('get', 'deploy', 'web', '-o', 'jsonpath={.spec.template.spec.containers[0].image}')).toBe(
      'example/web:2',
    );
    expect(await kubectl.ask('get', 'ns', '-o', 'name')).toContain('namespace/kube-system');
    expect(await kubectl.ask('get', 'pods', '-A')).toBe('');
    await expect(kubectl.ask('get', 'pod', 'missing')).rejects.toMatchObject({
      stderr: 'Error from server (NotFound): pods "missing" not found\n',
    });
  });

  test('cordons and drains', async () => {
    await api.call('POST', '/api/v1/nodes', { apiVersion: 'v1', kind: 'Node', metadata: { name: 'n1' } });
    const spec = { nodeName: 'n1', terminationGracePeriodSeconds: 0, containers: [{ name: 'c', image: 'i' }] };
    const owner = { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'r', uid: 'u', controller: true };
    const metadata = { name: 'drained', ownerReferences: [owner] };
    await api.call('POST', '/api/v1/namespaces/default/pods', { apiVersion: 'v1', kind: 'Pod', metadata, spec });
    expect(await kubectl.ask('drain', 'n1', '--timeout=120s')).toContain('node/n1 drained');
    expect(await kubectl.ask('get', 'node', 'n1')).toContain('SchedulingDisabled');
    expect(await kubectl.ask('uncordon', 'n1')).toContain('uncordoned');
  });

  test('explains, and lists what there is', async () => {
    expect(await kubectl.ask('explain', 'deployment.spec.replicas')).toContain('FIELD: replicas');
    // Reads the OpenAPI v2 document in protobuf.
    expect(await kubectl.ask('explain', 'deployment.spec.replicas', '--output=plaintext-openapiv2')).toMatch(
      /FIELD: +replicas/,
    );
    expect(await kubectl.ask('api-resources', '--verbs=list', '-o', 'name')).toContain('deployments.apps');
    expect(await kubectl.ask('api-versions')).toContain('rbac.authorization.k8s.io/v1');
  });

  test('says that a kind does not exist', async () => {
    const nonsense = kubectl.file('nonsense.yaml', 'apiVersion: v1\nkind: Nonsense\nmetadata: { name: x }\n');
    await expect(kubectl.ask('apply', '-f', nonsense)).rejects.toMatchObject({
      stderr: expect.stringContaining('no matches for kind "Nonsense" in version "v1"'),
    });
  });

  test('names the field of a wrong manifest', async () => {
    const wrong = kubectl.file('wrong.yaml', manifest.replace('replicas: 2', 'replicas: two'));
    await expect(kubectl.ask('replace', '-f', wrong)).rejects.toMatchObject({
      stderr: expect.stringContaining('spec.replicas'),
    });
    // As upstream, which applies the patch before it looks at types: it shows the patch, and the type that the field has.
    await expect(kubectl.ask('apply', '-f', wrong)).rejects.toMatchObject({
      stderr: expect.stringMatching(
        /The request is invalid: patch: .*spec:map\[replicas:two .*unrecognized type: int32/,
      ),
    });
    const unknown = kubectl.file('unknown.yaml', manifest.replace('replicas: 2', 'replicsa: 2'));
    await expect(kubectl.ask('apply', '-f', unknown)).rejects.toMatchObject({
      stderr: expect.stringContaining('replicsa'),
    });
  });
});

test('HTTP/2 carries many requests over one connection', async () => {
  const api = await startTestServer();
  const session = http2.connect(`https://127.0.0.1:${api.port}`, { rejectUnauthorized: false });
  const get = (url: string) =>
    new Promise<number>((resolve, reject) => {
      const stream = session.request({ ':path': url, authorization: 'Bearer admin-token' });
      stream.on('response', headers => resolve(Number(headers[':status'])));
      stream.on('error', reject);
      stream.resume();
    });
  const codes = await Promise.all(Array.from({ length: 50 }, () => get('/api/v1/namespaces/default')));
  expect(new Set(codes)).toEqual(new Set([200]));
  session.close();
  await api.close();
});
