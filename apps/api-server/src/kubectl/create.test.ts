import { generateKeyPairSync } from 'node:crypto';
import { Authority, createAuthority } from '@naru/pki';
import { describeKubectl, Kubectl } from '../testing/kubectl';
import { startTestServer, type TestServer } from '../testing/test-server';

describeKubectl('kubectl create', () => {
  let api: TestServer;
  let kubectl: Kubectl;
  const made = async (what: string, path: string, ...args: string[]): Promise<string> => {
    expect(await kubectl.ask('create', ...args)).toMatch(/ created\n$/);
    return kubectl.ask('get', what, '-o', `jsonpath={${path}}`);
  };

  beforeAll(async () => {
    api = await startTestServer();
    kubectl = new Kubectl(api);
    await kubectl.ask('create', 'serviceaccount', 'default');
  });
  afterAll(() => api.close());

  test('makes namespaces, accounts and tokens', async () => {
    expect(await made('ns/n', '.status.phase', 'namespace', 'n')).toBe('Active');
    expect(await made('sa/s', '.metadata.name', 'serviceaccount', 's')).toBe('s');
    expect(await kubectl.ask('create', 'token', 's', '--duration=1h', '--audience=x')).toMatch(/^ey/);
  });

  test('makes config maps and secrets from literals and files', async () => {
    const file = kubectl.file('note.txt', 'text');
    const from = ['--from-literal=a=b', `--from-file=note=${file}`];
    expect(await made('cm/c', '.data', 'configmap', 'c', ...from)).toBe('{"a":"b","note":"text"}');
    expect(await made('secret/g', '.data', 'secret', 'generic', 'g', ...from)).toBe('{"a":"Yg==","note":"dGV4dA=="}');
    const docker = ['--docker-server=r.example.com', '--docker-username=u', '--docker-password=p'];
    expect(await made('secret/d', '.type', 'secret', 'docker-registry', 'd', ...docker)).toBe(
      'kubernetes.io/dockerconfigjson',
    );
    const authority = await Authority.load(await createAuthority());
    const pair = await authority.issue({ subject: { commonName: 'x' }, usages: ['server'] });
    const cert = `--cert=${kubectl.file('t.crt', pair.certificate)}`;
    const key = `--key=${kubectl.file('t.key', pair.key)}`;
    expect(await made('secret/t', '.type', 'secret', 'tls', 't', cert, key)).toBe('kubernetes.io/tls');
    // A key of another certificate is refused by kubectl itself.
    const other = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({
      type: 'pkcs8',
      format: 'pem',
    });
    const wrong = `--key=${kubectl.file('other.key', other.toString())}`;
    expect(await kubectl.complaint('create', 'secret', 'tls', 'w', cert, wrong)).toContain('private key');
  });

  test('makes workloads', async () => {
    expect(await made('deploy/w', '.spec.replicas', 'deployment', 'w', '--image=i', '--replicas=2')).toBe('2');
    expect(await made('job/j', '.spec.completions', 'job', 'j', '--image=i', '--', 'true')).toBe('1');
    const schedule = ['--image=i', '--schedule=0 * * * *'];
    expect(await made('cj/cron', '.spec.schedule', 'cronjob', 'cron', ...schedule)).toBe('0 * * * *');
    expect(await made('job/k', '.metadata.ownerReferences[0].kind', 'job', 'k', '--from=cronjob/cron')).toBe('CronJob');
  });

  test('makes Services of every type, and ingresses', async () => {
    const type = (name: string, ...args: string[]) => made(`svc/${name}`, '.spec.type', 'service', ...args);
    expect(await type('ci', 'clusterip', 'ci', '--tcp=80:8080')).toBe('ClusterIP');
    expect(await type('np', 'nodeport', 'np', '--tcp=80', '--node-port=30777')).toBe('NodePort');
    expect(await type('lb', 'loadbalancer', 'lb', '--tcp=80')).toBe('LoadBalancer');
    expect(await type('en', 'externalname', 'en', '--external-name=example.com')).toBe('ExternalName');
    const rule = ['--class=c', '--rule=a.example.com/x*=np:80,tls=t'];
    expect(await made('ing/i', '.spec.rules[0].http.paths[0].pathType', 'ingress', 'i', ...rule)).toBe('Prefix');
    expect(await kubectl.ask('get', 'ingress')).toMatch(/i +c +a.example.com +80, 443 /);
  });

  test('makes quotas, budgets and priority classes', async () => {
    expect(await made('quota/q', '.spec.hard.pods', 'quota', 'q', '--hard=pods=5,cpu=2')).toBe('5');
    const budget = ['--selector=a=b', '--min-available=50%'];
    expect(await made('pdb/p', '.spec.minAvailable', 'poddisruptionbudget', 'p', ...budget)).toBe('50%');
    expect(await made('pc/high', '.value', 'priorityclass', 'high', '--value=1000', '--preemption-policy=Never')).toBe(
      '1000',
    );
  });

  test('makes roles and bindings', async () => {
    const rule = ['--verb=get,list', '--resource=pods,deployments.apps'];
    expect(await made('role/r', '.rules[*].resources[0]', 'role', 'r', ...rule)).toBe('pods deployments');
    expect(
      await made(
        'clusterrole/c',
        '.rules[0].nonResourceURLs[0]',
        'clusterrole',
        'c',
        '--verb=get',
        '--non-resource-url=/x',
      ),
    ).toBe('/x');
    expect(await made('rolebinding/rb', '.roleRef.name', 'rolebinding', 'rb', '--role=r', '--user=jane')).toBe('r');
    const account = ['--clusterrole=view', '--serviceaccount=default:default'];
    expect(await made('clusterrolebinding/cb', '.subjects[0].kind', 'clusterrolebinding', 'cb', ...account)).toBe(
      'ServiceAccount',
    );
  });

  test('makes what a manifest says, under a name that the server gives', async () => {
    const file = kubectl.file('named.json', {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { generateName: 'made-' },
    });
    expect(await kubectl.ask('create', '-f', file)).toMatch(/^configmap\/made-\w{5} created\n$/);
    expect(await kubectl.ask('create', 'cm', 'dry', '--dry-run=server', '-o', 'name')).toBe('configmap/dry\n');
    expect(await kubectl.ask('create', 'cm', 'dry', '--dry-run=client', '-o', 'yaml')).toContain('name: dry');
    expect(await kubectl.complaint('get', 'cm', 'dry')).toContain('NotFound');
  });
});
