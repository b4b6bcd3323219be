import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { describeKubectl, Kubectl } from '../testing/kubectl';
import { startTestServer, type TestServer } from '../testing/test-server';

const deployment = (image: string, replicas = 2): string => `
apiVersion: apps/v1
kind: Deployment
metadata: { name: web }
spec:
  replicas: ${replicas}
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec:
      containers:
      - { name: web, image: "${image}", ports: [{ containerPort: 80 }] }
`;

describeKubectl('kubectl changes objects', () => {
  let api: TestServer;
  let kubectl: Kubectl;
  const image = (): Promise<string> =>
    kubectl.ask('get', 'deploy', 'web', '-o', 'jsonpath={.spec.template.spec.containers[0].image}');
  const outputOfFailing = (run: Promise<unknown>): Promise<string> =>
    run.then(
      () => '',
      (error: { stdout: string }) => error.stdout,
    );

  beforeAll(async () => {
    api = await startTestServer();
    kubectl = new Kubectl(api);
    await kubectl.ask('apply', '-f', kubectl.file('web.yaml', deployment('app:1')));
  });
  afterAll(() => api.close());

  test('apply takes away what its last configuration had and this one has not', async () => {
    const config = (data: object) =>
      kubectl.file('config.json', { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'c' }, data });
    expect(await kubectl.ask('apply', '-f', config({ a: '1', b: '2' }))).toBe('configmap/c created\n');
    expect(await kubectl.ask('apply', '-f', config({ a: '1' }), '--dry-run=server')).toContain('(server dry run)');
    expect(await kubectl.ask('apply', '-f', config({ a: '1' }))).toBe('configmap/c configured\n');
    expect(await kubectl.ask('get', 'cm', 'c', '-o', 'jsonpath={.data}')).toBe('{"a":"1"}');
    expect(await kubectl.ask('apply', 'view-last-applied', 'cm/c', '-o', 'json')).toContain('"a": "1"');
  });

  test('apply --prune deletes what the configuration no longer names', async () => {
    const list = (...names: string[]) =>
      kubectl.file('list.json', {
        apiVersion: 'v1',
        kind: 'List',
        items: names.map(name => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, labels: { set: 'x' } } })),
      });
    const prune = ['--prune', '-l', 'set=x', '--prune-allowlist=core/v1/ConfigMap'];
    await kubectl.ask('apply', '-f', list('one', 'two'), ...prune);
    expect(await kubectl.ask('apply', '-f', list('one'), ...prune)).toContain('configmap/two pruned');
  });

  test('apply --server-side reports conflicts and takes over by force', async () => {
    const file = kubectl.file('ssa.yaml', deployment('app:2'));
    const manager = ['--server-side', '--field-manager=other'];
    const complaint = await kubectl.complaint('apply', ...manager, '-f', file);
    expect(complaint).toContain('Apply failed with 1 conflict: conflict with "kubectl-client-side-apply"');
    expect(complaint).toContain('.spec.template.spec.containers[name="web"].image');
    expect(await kubectl.ask('apply', ...manager, '--force-conflicts', '-f', file)).toContain('serverside-applied');
    expect(await image()).toBe('app:2');
    const fields = await kubectl.ask(
      'get',
      'deploy',
      'web',
      '--show-managed-fields',
      '-o',
      'jsonpath={.metadata.managedFields[*].manager}',
    );
    expect(fields.split(' ')).toContain('other');
  });

  test('diff shows a change, by the client and by the server', async () => {
    const file = kubectl.file('diff.yaml', deployment('app:9'));
    expect(await outputOfFailing(kubectl.run(['diff', '-f', file]))).toMatch(/^-.*app:2\n\+.*app:9$/m);
    const server = ['diff', '--server-side', '--force-conflicts', '-f', file];
    expect(await outputOfFailing(kubectl.run(server))).toMatch(/^\+.*app:9$/m);
  });

  test('patch changes an object in each of its three ways, and its status', async () => {
    const patch = (type: string, body: unknown, ...more: string[]) =>
      kubectl.ask('patch', 'deploy', 'web', `--type=${type}`, '-p', JSON.stringify(body), ...more);
    await patch('strategic', { spec: { template: { spec: { containers: [{ name: 'web', image: 'app:3' }] } } } });
    expect(await image()).toBe('app:3');
    await patch('merge', { spec: { replicas: 4 } });
    await patch('json', [
      { op: 'test', path: '/spec/replicas', value: 4 },
      { op: 'replace', path: '/spec/replicas', value: 5 },
    ]);
    expect(await kubectl.ask('get', 'deploy', 'web', '-o', 'jsonpath={.spec.replicas}')).toBe('5');
    await patch('merge', { status: { replicas: 3 } }, '--subresource=status');
    expect(await kubectl.ask('get', 'deploy', 'web', '-o', 'jsonpath={.status.replicas}')).toBe('3');
    const wrong = ['patch', 'deploy', 'web', '--type=json', '-p', '[{"op":"test","path":"/spec/replicas","value":9}]'];
    expect(await kubectl.complaint(...wrong)).toContain('the server rejected our request');
  });

  test('replace puts a whole object in the place of another, by force too', async () => {
    const file = kubectl.file('replace.yaml', deployment('app:4', 1));
    expect(await kubectl.ask('replace', '-f', file)).toBe('deployment.apps/web replaced\n');
    expect(await image()).toBe('app:4');
    const uid = await kubectl.ask('get', 'deploy', 'web', '-o', 'jsonpath={.metadata.uid}');
    expect(await kubectl.ask('replace', '--force', '-f', file)).toContain('deployment.apps/web replaced');
    expect(await kubectl.ask('get', 'deploy', 'web', '-o', 'jsonpath={.metadata.uid}')).not.toBe(uid);
  });

  test('edit sends what the editor left, and complains of what is wrong', async () => {
    const edit = async (script: string) =>
      kubectl.run(['edit', 'deploy/web'], { KUBE_EDITOR: `sed -i '${script}'` }).catch((e: { stderr: string }) => e);
    expect(await edit('s/replicas: 1/replicas: 7/')).toMatchObject({ stdout: 'deployment.apps/web edited\n' });
    expect(await kubectl.ask('get', 'deploy', 'web', '-o', 'jsonpath={.spec.replicas}')).toBe('7');
    expect((await edit('s/replicas: 7/replicas: -7/')).stderr).toContain('deployments.apps "web" is invalid');
  });

  test('kustomize and apply -k build and apply an overlay', async () => {
    const folder = path.join(api.folder, 'overlay');
    mkdirSync(folder);
    kubectl.file('overlay/deploy.yaml', deployment('app:5').replaceAll('web', 'over'));
    kubectl.file('overlay/kustomization.yaml', {
      resources: ['deploy.yaml'],
      namePrefix: 'test-',
      images: [{ name: 'app', newTag: '6' }],
      configMapGenerator: [{ name: 'settings', literals: ['a=b'] }],
    });
    expect(await kubectl.ask('kustomize', folder)).toContain('name: test-over');
    expect(await kubectl.ask('apply', '-k', folder)).toMatch(
      /configmap\/test-settings-\w+ created\ndeployment.apps\/test-over created/,
    );
    const got = await kubectl.ask(
      'get',
      '-k',
      folder,
      '-o',
      'jsonpath={.items[*].spec.template.spec.containers[0].image}',
    );
    expect(got).toBe('app:6');
    expect(await kubectl.ask('delete', '-k', folder)).toContain('deployment.apps "test-over" deleted');
  });

  test('label and annotate add, refuse to overwrite, overwrite and remove', async () => {
    await kubectl.ask('label', 'deploy/web', 'tier=a');
    expect(await kubectl.complaint('label', 'deploy/web', 'tier=b')).toContain(
      'already has a value (a), and --overwrite is false',
    );
    await kubectl.ask('label', 'deploy/web', 'tier=b', '--overwrite');
    expect(await kubectl.ask('get', 'deploy', '-l', 'tier in (b)', '-o', 'name')).toBe('deployment.apps/web\n');
    await kubectl.ask('label', 'deploy/web', 'tier-');
    expect(await kubectl.ask('get', 'deploy', '-l', 'tier', '-o', 'name')).toBe('');
    await kubectl.ask('annotate', 'deploy/web', 'note=x');
    expect(await kubectl.ask('annotate', 'deploy/web', '--list')).toContain('note=x');
    await kubectl.ask('annotate', 'deploy/web', 'note-');
    expect(await kubectl.ask('annotate', 'deploy/web', '--list')).not.toContain('note=x');
  });

  test('delete removes by name, by label and by file', async () => {
    await Promise.all(['d1', 'd2', 'd3'].map(name => kubectl.ask('create', 'configmap', name)));
    await kubectl.ask('label', 'cm', 'd2', 'd3', 'gone=soon');
    expect(await kubectl.ask('delete', 'cm', 'd1')).toBe('configmap "d1" deleted\n');
    expect(await kubectl.ask('delete', 'cm', '-l', 'gone')).toBe('configmap "d2" deleted\nconfigmap "d3" deleted\n');
    expect(await kubectl.ask('delete', '-f', path.join(api.folder, 'web.yaml'), '--cascade=background')).toContain(
      'deleted',
    );
    expect(await kubectl.complaint('delete', 'cm', 'd1')).toContain('configmaps "d1" not found');
    expect(await kubectl.ask('delete', 'cm', 'd1', '--ignore-not-found')).toBe('');
  });
});
