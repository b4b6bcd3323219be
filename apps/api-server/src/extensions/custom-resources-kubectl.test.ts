import { execFile, execFileSync, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { eventually, startTestServer, type TestServer } from '../testing/test-server';
import { widgetDefinition } from '../testing/widget-definition';

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
apiVersion: example.com/v1
kind: Widget
metadata: { name: first }
spec: { size: small, replicas: 2, color: red }
`;

(hasKubectl ? describe : describe.skip)('kubectl on custom resources', () => {
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
  });
  afterAll(() => api.close());

  test('applies a definition and waits until it is established', async () => {
    const at = file('crd.json', JSON.stringify(widgetDefinition()));
    expect(await kubectl('apply', '-f', at)).toContain('widgets.example.com created');
    expect(await kubectl('wait', '--for=condition=established', 'crd/widgets.example.com', '--timeout=10s')).toContain(
      'condition met',
    );
    expect(await kubectl('get', 'crd')).toMatch(/NAME +CREATED AT\nwidgets\.example\.com +\d{4}-/);
    expect(await kubectl('api-resources', '--api-group=example.com')).toMatch(
      /widgets +wd +example\.com\/v1 +true +Widget/,
    );
  });

  test('applies objects, and applies them again', async () => {
    const at = file('widget.yaml', manifest);
    expect(await kubectl('apply', '-f', at)).toBe('widget.example.com/first created\n');
    expect(await kubectl('apply', '-f', at)).toBe('widget.example.com/first unchanged\n');
    const changed = file('widget2.yaml', manifest.replace('replicas: 2', 'replicas: 3'));
    expect(await kubectl('apply', '-f', changed)).toBe('widget.example.com/first configured\n');
    expect(await kubectl('apply', '--server-side', '--force-conflicts', '-f', changed)).toContain('serverside-applied');
  });

  test('gets them by all their names', async () => {
    expect(await kubectl('get', 'wd')).toMatch(/NAME +SIZE +READY +AGE\nfirst +small +\d+s/);
    expect(await kubectl('get', 'widgets', '-o', 'wide')).toMatch(/REPLICAS.*\n.* 3 /);
    expect(await kubectl('get', 'all')).toContain('widget.example.com/first');
    expect(await kubectl('get', 'widget/first', '-o', 'jsonpath={.spec.size}')).toBe('small');
    expect(await kubectl('get', 'widgets', '--field-selector=spec.color=blue')).toBe('');
  });

  test('explains them', async () => {
    expect(await kubectl('explain', 'widget.spec.size')).toContain('How large the widget is.');
    expect(await kubectl('explain', 'widget', '--recursive')).toMatch(/spec[\s\S]*replicas/);
  });

  test('scales, patches, edits, labels and describes them', async () => {
    expect(await kubectl('scale', 'widget/first', '--replicas=5')).toBe('widget.example.com/first scaled\n');
    expect(await kubectl('get', 'widget', 'first', '-o', 'jsonpath={.spec.replicas}')).toBe('5');
    await kubectl('patch', 'widget', 'first', '--type=merge', '-p', '{"spec":{"note":"hi"}}');
    await kubectl('label', 'widget/first', 'a=b');
    const edited = await run('kubectl', ['edit', 'widget/first'], {
      env: { ...environment(), KUBE_EDITOR: `sed -i 's/note: hi/note: ho/'` },
      timeout: 20_000,
    });
    expect(edited.stdout).toContain('edited');
    expect(await kubectl('describe', 'widget', 'first')).toMatch(/Note: +ho/);
  });

  test('names the wrong field', async () => {
    const wrong = file('wrong.yaml', manifest.replace('replicas: 2', 'replicas: two'));
    await expect(kubectl('apply', '-f', wrong)).rejects.toMatchObject({
      stderr: expect.stringContaining('spec.replicas in body must be of type integer: "string"'),
    });
    const unknown = file('unknown.yaml', manifest.replace('replicas: 2', 'replicsa: 2'));
    await expect(kubectl('apply', '-f', unknown)).rejects.toMatchObject({
      stderr: expect.stringContaining('unknown field "spec.replicsa"'),
    });
  });

  test('watches, waits and deletes', async () => {
    const watching = spawn('kubectl', ['get', 'widgets', '-w'], { env: environment() });
    let watched = '';
    watching.stdout.on('data', chunk => (watched += String(chunk)));
    await eventually(() => watched.includes('first'));
    const waiting = kubectl('wait', 'widget/first', '--for=condition=Ready', '--timeout=10s');
    const status = '{"status":{"conditions":[{"type":"Ready","status":"True"}]}}';
    await kubectl('patch', 'widget', 'first', '--subresource=status', '--type=merge', '-p', status);
    expect(await waiting).toBe('widget.example.com/first condition met\n');
    await eventually(() => watched.includes('True'));
    watching.kill();
    expect(await kubectl('delete', 'crd', 'widgets.example.com', '--timeout=10s')).toContain('deleted');
    await expect(kubectl('get', 'widgets')).rejects.toMatchObject({ stderr: expect.stringContaining('widgets') });
  });
});
