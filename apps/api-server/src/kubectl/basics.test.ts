import { execFile, execFileSync, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import http2 from 'node:http2';
import path from 'node:path';
import { promisify } from 'node:util';
import { eventually, startTestServer, type TestServer } from '../testing/test-server';

// The real kubectl against a server without controllers: what it shows is what the api-server alone answers.
const hasKubectl = (() => {
  try {
    execFileSync('kubectl', ['version', '--client'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
})();
if (!hasKubectl && process.env['CI']) throw new Error('kubectl is missing, and CI must not skip this test');
const run = promisify(execFile);

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

(hasKubectl ? describe : describe.skip)('kubectl', () => {
  let api: TestServer;
  const environment = () => ({ ...process.env, KUBECONFIG: api.files.kubeconfig, HOME: api.folder });
  const kubectl = async (...args: string[]): Promise<string> =>
    (await run('kubectl', args, { env: environment(), timeout: 20_000 })).stdout;
  const file = (name: string, text: string): string => {
    const at = path.join(api.folder, name);
    writeFileSync(at, text);
    return at;
  };

  beforeAll(async () => {
    api = await startTestServer();
    await kubectl('create', 'serviceaccount', 'default');
  });
  afterAll(() => api.close());

  test('applies, and applies again without a change or with one', async () => {
    const at = file('web.yaml', manifest);
    expect(await kubectl('apply', '-f', at)).toBe('deployment.apps/web created\nservice/web created\n');
    expect(await kubectl('apply', '-f', at)).toBe('deployment.apps/web unchanged\nservice/web unchanged\n');
    const changed = file('web2.yaml', manifest.replace('example/web:1', 'example/web:2'));
    expect(await kubectl('diff', '-f', changed).catch((error: { stdout: string }) => error.stdout)).toContain(
      '+      - image: example/web:2',
    );
    expect(await kubectl('apply', '-f', changed)).toContain('deployment.apps/web configured');
  });

  test('gets, in every form', async () => {
    expect(await kubectl('get', 'deployments')).toMatch(/NAME +READY +UP-TO-DATE +AVAILABLE +AGE\nweb +0\/2/);
    expect(await kubectl('get', 'all', '-o', 'wide')).toMatch(
      /service\/web +NodePort +10\.96\.\d+\.\d+ +<none> +80:3\d+\/TCP/,
    );
    expect(await kubectl('get', 'deploy', 'web', '-o', 'jsonpath={.spec.template.spec.containers[0].image}')).toBe(
      'example/web:2',
    );
    expect(await kubectl('get', 'ns', '-o', 'name')).toContain('namespace/kube-system');
    expect(await kubectl('get', 'pods', '-A')).toBe('');
    await expect(kubectl('get', 'pod', 'missing')).rejects.toMatchObject({
      stderr: 'Error from server (NotFound): pods "missing" not found\n',
    });
  });

  test('creates what its typed clients send in protobuf', async () => {
    expect(await kubectl('create', 'deployment', 'typed', '--image=nginx', '--replicas=0')).toContain('created');
    expect(await kubectl('get', 'deploy', 'typed', '-o', 'jsonpath={.spec.replicas}')).toBe('0');
    expect(await kubectl('create', 'configmap', 'typed', '--from-literal=a=b')).toContain('created');
    expect(await kubectl('create', 'secret', 'generic', 'typed', '--from-literal=a=b')).toContain('created');
    expect(await kubectl('get', 'secret', 'typed', '-o', 'jsonpath={.data.a}')).toBe('Yg==');
    expect(await kubectl('create', 'service', 'clusterip', 'typed', '--tcp=80:8080')).toContain('created');
    expect(await kubectl('create', 'namespace', 'typed')).toContain('created');
    expect(await kubectl('create', 'role', 'typed', '--verb=get', '--resource=pods')).toContain('created');
    expect(await kubectl('create', 'cronjob', 'typed', '--image=nginx', '--schedule=* * * * *')).toContain('created');
    expect(
      await kubectl('create', 'poddisruptionbudget', 'typed', '--selector=app=x', '--min-available=50%'),
    ).toContain('created');
    expect(await kubectl('create', 'token', 'default')).toMatch(/^ey/);
    expect(await kubectl('auth', 'can-i', 'list', 'pods')).toBe('yes\n');
  });

  test('describes', async () => {
    expect(await kubectl('describe', 'deployment', 'web')).toMatch(/Replicas: +2 desired/);
    expect(await kubectl('describe', 'service', 'web')).toMatch(/NodePort: +<unset> +3\d+\/TCP/);
    expect(await kubectl('describe', 'namespace', 'default')).toMatch(/Status: +Active/);
  });

  test('scales, labels, annotates, patches, edits and sets', async () => {
    expect(await kubectl('scale', 'deploy/web', '--replicas=5')).toBe('deployment.apps/web scaled\n');
    expect(await kubectl('get', 'deploy', 'web', '-o', 'jsonpath={.spec.replicas}')).toBe('5');
    await kubectl('label', 'deploy/web', 'tier=front');
    expect(await kubectl('get', 'deploy', '-l', 'tier=front', '-o', 'name')).toBe('deployment.apps/web\n');
    await kubectl('annotate', 'deploy/web', 'note=1');
    await kubectl('patch', 'deploy/web', '--type=json', '-p', '[{"op":"replace","path":"/spec/replicas","value":1}]');
    await kubectl(
      'patch',
      'deploy/web',
      '-p',
      '{"spec":{"template":{"spec":{"containers":[{"name":"side","image":"s"}]}}}}',
    );
    const names = await kubectl('get', 'deploy', 'web', '-o', 'jsonpath={.spec.template.spec.containers[*].name}');
    expect(names.split(' ').sort()).toEqual(['side', 'web']);
    await kubectl('set', 'image', 'deploy/web', 'web=example/web:3');
    await kubectl('rollout', 'restart', 'deploy/web');
    const edited = await run('kubectl', ['edit', 'deploy/web'], {
      env: { ...environment(), KUBE_EDITOR: `sed -i 's/replicas: 1/replicas: 4/'` },
      timeout: 20_000,
    });
    expect(edited.stdout).toContain('edited');
    expect(await kubectl('get', 'deploy', 'web', '-o', 'jsonpath={.spec.replicas}')).toBe('4');
  });

  test('runs, waits, watches and deletes', async () => {
    await kubectl('run', 'one', '--image=nginx');
    const ready = '{"status":{"phase":"Running","conditions":[{"type":"Ready","status":"True"}]}}';
    const waiting = kubectl('wait', 'pod/one', '--for=condition=Ready', '--timeout=15s');
    const watching = spawn('kubectl', ['get', 'pods', '-w'], { env: environment() });
    let watched = '';
    watching.stdout.on('data', chunk => (watched += String(chunk)));
    await eventually(() => watched.includes('one'));
    await kubectl('patch', 'pod/one', '--subresource=status', '--type=merge', '-p', ready);
    expect(await waiting).toBe('pod/one condition met\n');
    await eventually(() => watched.includes('Running'));
    watching.kill();
    expect(await kubectl('delete', 'pod/one', '--timeout=10s')).toContain('pod "one" deleted');
    expect(await kubectl('delete', '-f', path.join(api.folder, 'web.yaml'))).toContain('deployment.apps "web" deleted');
  });

  test('cordons and drains', async () => {
    await api.call('POST', '/api/v1/nodes', { apiVersion: 'v1', kind: 'Node', metadata: { name: 'n1' } });
    const spec = { nodeName: 'n1', terminationGracePeriodSeconds: 0, containers: [{ name: 'c', image: 'i' }] };
    const owner = { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'r', uid: 'u', controller: true };
    const metadata = { name: 'drained', ownerReferences: [owner] };
    await api.call('POST', '/api/v1/namespaces/default/pods', { apiVersion: 'v1', kind: 'Pod', metadata, spec });
    expect(await kubectl('drain', 'n1', '--timeout=10s')).toContain('node/n1 drained');
    expect(await kubectl('get', 'node', 'n1')).toContain('SchedulingDisabled');
    expect(await kubectl('uncordon', 'n1')).toContain('uncordoned');
  });

  test('explains, and lists what there is', async () => {
    expect(await kubectl('explain', 'deployment.spec.replicas')).toContain('FIELD: replicas');
    // Reads the OpenAPI v2 document in protobuf.
    expect(await kubectl('explain', 'deployment.spec.replicas', '--output=plaintext-openapiv2')).toMatch(
      /FIELD: +replicas/,
    );
    expect(await kubectl('api-resources', '--verbs=list', '-o', 'name')).toContain('deployments.apps');
    expect(await kubectl('api-versions')).toContain('rbac.authorization.k8s.io/v1');
  });

  test('says that a kind does not exist', async () => {
    const nonsense = file('nonsense.yaml', 'apiVersion: v1\nkind: Nonsense\nmetadata: { name: x }\n');
    await expect(kubectl('apply', '-f', nonsense)).rejects.toMatchObject({
      stderr: expect.stringContaining('no matches for kind "Nonsense" in version "v1"'),
    });
  });

  test('names the field of a wrong manifest', async () => {
    const wrong = file('wrong.yaml', manifest.replace('replicas: 2', 'replicas: two'));
    await expect(kubectl('apply', '-f', wrong)).rejects.toMatchObject({
      stderr: expect.stringContaining('spec.replicas'),
    });
    const unknown = file('unknown.yaml', manifest.replace('replicas: 2', 'replicsa: 2'));
    await expect(kubectl('apply', '-f', unknown)).rejects.toMatchObject({
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
