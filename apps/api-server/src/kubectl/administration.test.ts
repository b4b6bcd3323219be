import { execFileSync } from 'node:child_process';
import { mkdirSync, chmodSync } from 'node:fs';
import path from 'node:path';
import { kindSamples } from '../testing/kind-samples';
import { describeKubectl, Kubectl } from '../testing/kubectl';
import { startTestServer, type TestServer } from '../testing/test-server';

describeKubectl('kubectl for administrators', () => {
  let api: TestServer;
  let kubectl: Kubectl;

  beforeAll(async () => {
    api = await startTestServer();
    kubectl = new Kubectl(api);
    await api.call('POST', '/api/v1/nodes', { metadata: { name: 'n1', labels: { disk: 'fast' } } });
  });
  afterAll(() => api.close());

  test('cordon, uncordon and taint steer what comes to a node', async () => {
    expect(await kubectl.ask('cordon', 'n1')).toBe('node/n1 cordoned\n');
    expect(await kubectl.ask('cordon', 'n1')).toBe('node/n1 already cordoned\n');
    expect(await kubectl.ask('get', 'nodes')).toMatch(/n1 +Unknown,SchedulingDisabled +<none>/);
    expect(await kubectl.ask('uncordon', '-l', 'disk=fast')).toBe('node/n1 uncordoned\n');
    expect(await kubectl.ask('taint', 'node', 'n1', 'dedicated=db:NoSchedule')).toBe('node/n1 tainted\n');
    expect(await kubectl.complaint('taint', 'node', 'n1', 'dedicated=web:NoSchedule')).toContain(
      'already has dedicated taint',
    );
    await kubectl.ask('taint', 'node', 'n1', 'dedicated=web:NoSchedule', '--overwrite');
    expect(await kubectl.ask('get', 'node', 'n1', '-o', 'jsonpath={.spec.taints[0].value}')).toBe('web');
    expect(await kubectl.ask('taint', 'node', 'n1', 'dedicated:NoSchedule-')).toBe('node/n1 untainted\n');
    expect(await kubectl.ask('describe', 'node', 'n1')).not.toContain('dedicated');
  });

  test('auth says who one is and what one may do, and makes roles as they should be', async () => {
    expect(await kubectl.ask('auth', 'whoami')).toMatch(/Username +kubernetes-admin\nGroups +\[system:masters/);
    expect(await kubectl.ask('auth', 'can-i', 'delete', 'nodes')).toBe('yes\n');
    expect(await kubectl.ask('auth', 'can-i', '--list')).toMatch(/\*\.\* +\[\] +\[\] +\[\*\]/);
    const jane = ['--as=jane'];
    await kubectl
      .run(['auth', 'can-i', 'get', 'pods', ...jane])
      .catch((error: { stdout: string }) => expect(error.stdout).toContain('no'));
    const role = (verbs: string[]) =>
      kubectl.file('roles.json', {
        apiVersion: 'v1',
        kind: 'List',
        items: [
          {
            apiVersion: 'rbac.authorization.k8s.io/v1',
            kind: 'Role',
            metadata: { name: 'r', namespace: 'default' },
            rules: [{ apiGroups: [''], resources: ['pods'], verbs }],
          },
          {
            apiVersion: 'rbac.authorization.k8s.io/v1',
            kind: 'RoleBinding',
            metadata: { name: 'r', namespace: 'default' },
            roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'r' },
            subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: 'jane' }],
          },
        ],
      });
    expect(await kubectl.ask('auth', 'reconcile', '-f', role(['get']))).toContain(
      'role.rbac.authorization.k8s.io/r reconciled',
    );
    expect(await kubectl.ask('auth', 'can-i', 'get', 'pods', ...jane)).toBe('yes\n');
    await kubectl.ask('auth', 'reconcile', '-f', role(['list']));
    expect(await kubectl.ask('get', 'role', 'r', '-o', 'jsonpath={.rules[*].verbs[*]}')).toBe('get list');
    await kubectl.ask('auth', 'reconcile', '--remove-extra-permissions', '-f', role(['list']));
    expect(await kubectl.ask('get', 'role', 'r', '-o', 'jsonpath={.rules[*].verbs[*]}')).toBe('list');
  });

  test('certificate approves and denies', async () => {
    const sample = kindSamples.find(({ kind }) => kind === 'CertificateSigningRequest')!;
    for (const name of ['good', 'bad'])
      await kubectl.ask('create', '-f', kubectl.file('csr.json', { ...sample, metadata: { name } }));
    expect(await kubectl.ask('certificate', 'approve', 'good')).toBe(
      'certificatesigningrequest.certificates.k8s.io/good approved\n',
    );
    expect(await kubectl.ask('certificate', 'deny', 'bad')).toBe(
      'certificatesigningrequest.certificates.k8s.io/bad denied\n',
    );
    const table = await kubectl.ask('get', 'csr');
    expect(table).toMatch(/NAME +AGE +SIGNERNAME +REQUESTOR +REQUESTEDDURATION +CONDITION/);
    expect(table).toMatch(/good .* kubernetes-admin +<none> +Approved/);
    expect(table).toMatch(/bad .* kubernetes-admin +<none> +Denied/);
    expect(await kubectl.complaint('certificate', 'approve', 'bad')).toContain(
      'certificate signing request "bad" is already Denied',
    );
  });

  test('cluster-info, version, api-versions and componentstatuses tell of the cluster', async () => {
    expect(await kubectl.ask('cluster-info')).toContain(`is running at`);
    expect(await kubectl.ask('cluster-info', 'dump', '-o', 'json')).toContain('"kind": "NodeList"');
    expect(await kubectl.ask('version')).toMatch(/Server Version: v1\.36/);
    const versions = (await kubectl.ask('api-versions')).trim().split('\n');
    expect(versions).toEqual(
      expect.arrayContaining(['v1', 'autoscaling/v1', 'autoscaling/v2', 'authentication.k8s.io/v1']),
    );
    expect(await kubectl.ask('get', 'apiservices')).toMatch(/v1\.apps +Local +True /);
    const { stdout, stderr } = await kubectl.run(['get', 'componentstatuses']);
    expect(stdout).toMatch(/NAME +STATUS +MESSAGE +ERROR\n[^]*etcd-0 +Healthy +ok/);
    expect(stderr).toContain('Warning: v1 ComponentStatus is deprecated in v1.19+');
  });

  test('get --raw reaches what is no resource', async () => {
    expect(await kubectl.ask('get', '--raw', '/readyz')).toBe('ok');
    expect(await kubectl.ask('get', '--raw', '/api/v1/namespaces/default')).toContain('"kind":"Namespace"');
    const body = kubectl.file('raw.json', { metadata: { name: 'raw' } });
    expect(await kubectl.ask('create', '--raw', '/api/v1/namespaces', '-f', body)).toContain('"name":"raw"');
    expect(await kubectl.ask('delete', '--raw', '/api/v1/namespaces/raw')).toContain('"Terminating"');
  });

  test('get prints as JSON paths, columns, templates, YAML and sorted tables', async () => {
    for (const [name, size] of Object.entries({ a: '2', b: '1' }))
      await kubectl.ask('create', 'configmap', name, `--from-literal=size=${size}`);
    const get = (...args: string[]) => kubectl.ask('get', 'cm', ...args);
    expect(await get('-o', 'jsonpath={range .items[?(@.data.size=="1")]}{.metadata.name}{"\\n"}{end}')).toBe('b\n');
    expect(await get('-o', 'custom-columns=NAME:.metadata.name,SIZE:.data.size')).toMatch(/NAME +SIZE\na +2\nb +1/);
    expect(await get('a', '-o', 'go-template={{.data.size}}')).toBe('2');
    expect(await get('a', '-o', 'yaml')).toContain('data:\n  size: "2"\nkind: ConfigMap');
    expect(await get('--sort-by={.data.size}', '--no-headers')).toMatch(/^b .*\na /);
    expect(await get('--show-labels', '--show-kind', '-A')).toMatch(/NAMESPACE +NAME +DATA +AGE +LABELS/);
    expect(await get('--field-selector=metadata.name=a', '-o', 'name')).toBe('configmap/a\n');
    expect(await get('--chunk-size=1', '-o', 'name')).toBe('configmap/a\nconfigmap/b\n');
  });

  test('what kubectl does by itself works beside the cluster: config, plugin, completion, options', async () => {
    expect(await kubectl.ask('config', 'current-context')).toBe('test\n');
    expect(await kubectl.ask('config', 'view', '--minify', '-o', 'jsonpath={.contexts[0].context.namespace}')).toBe(
      'default',
    );
    await kubectl.ask('config', 'set-context', 'other', '--cluster=test', '--user=admin', '--namespace=kube-public');
    expect(await kubectl.ask('--context=other', 'get', 'cm', '-o', 'name')).toBe('');
    const folder = path.join(api.folder, 'bin');
    mkdirSync(folder);
    const plugin = kubectl.file('bin/kubectl-greet', '#!/bin/sh\necho hello "$@"\n');
    chmodSync(plugin, 0o755);
    const withPlugin = { PATH: `${folder}:${process.env['PATH']}` };
    expect((await kubectl.run(['greet', 'you'], withPlugin)).stdout).toBe('hello you\n');
    expect((await kubectl.run(['plugin', 'list'], withPlugin)).stdout).toContain(plugin);
    expect(await kubectl.ask('completion', 'bash')).toContain('complete -o default');
    expect(await kubectl.ask('__complete', 'get', 'node', '')).toContain('n1');
    expect(await kubectl.ask('options')).toContain('--namespace');
    expect(execFileSync('kubectl', ['explain', '--help']).toString()).toContain('--recursive');
  });
});
