import { spawn } from 'node:child_process';
import { describeKubectl, Kubectl } from '../testing/kubectl';
import { eventually, startTestServer, type TestServer } from '../testing/test-server';
import { widgetDefinition } from '../testing/widget-definition';

const manifest = `
apiVersion: example.com/v1
kind: Widget
metadata: { name: first }
spec: { size: small, replicas: 2, color: red }
`;

describeKubectl('kubectl on custom resources', () => {
  let api: TestServer;
  let kubectl: Kubectl;

  beforeAll(async () => {
    api = await startTestServer();
    kubectl = new Kubectl(api);
  });
  afterAll(() => api.close());

  test('applies a definition and waits until it is established', async () => {
    const at = kubectl.file('crd.json', JSON.stringify(widgetDefinition()));
    expect(await kubectl.ask('apply', '-f', at)).toContain('widgets.example.com created');
    expect(
      await kubectl.ask('wait', '--for=condition=established', 'crd/widgets.example.com', '--timeout=120s'),
    ).toContain('condition met');
    expect(await kubectl.ask('get', 'crd')).toMatch(/NAME +CREATED AT\nwidgets\.example\.com +\d{4}-/);
    expect(await kubectl.ask('api-resources', '--api-group=example.com')).toMatch(
      /widgets +wd +example\.com\/v1 +true +Widget/,
    );
  });

  test('applies objects, and applies them again', async () => {
    const at = kubectl.file('widget.yaml', manifest);
    expect(await kubectl.ask('apply', '-f', at)).toBe('widget.example.com/first created\n');
    expect(await kubectl.ask('apply', '-f', at)).toBe('widget.example.com/first unchanged\n');
    const changed = kubectl.file('widget2.yaml', manifest.replace('replicas: 2', 'replicas: 3'));
    expect(await kubectl.ask('apply', '-f', changed)).toBe('widget.example.com/first configured\n');
    expect(await kubectl.ask('apply', '--server-side', '--force-conflicts', '-f', changed)).toContain(
      'serverside-applied',
    );
  });

  test('gets them by all their names', async () => {
    expect(await kubectl.ask('get', 'wd')).toMatch(/NAME +SIZE +READY +AGE\nfirst +small +\d+[ms]/);
    expect(await kubectl.ask('get', 'widgets', '-o', 'wide')).toMatch(/REPLICAS.*\n.* 3 /);
    expect(await kubectl.ask('get', 'all')).toContain('widget.example.com/first');
    expect(await kubectl.ask('get', 'widget/first', '-o', 'jsonpath={.spec.size}')).toBe('small');
    expect(await kubectl.ask('get', 'widgets', '--field-selector=spec.color=blue')).toBe('');
  });

  test('explains them', async () => {
    expect(await kubectl.ask('explain', 'widget.spec.size')).toContain('How large the widget is.');
    expect(await kubectl.ask('explain', 'widget', '--recursive')).toMatch(/spec[\s\S]*replicas/);
  });

  test('scales, patches, edits, labels and describes them', async () => {
    expect(await kubectl.ask('scale', 'widget/first', '--replicas=5')).toBe('widget.example.com/first scaled\n');
    expect(await kubectl.ask('get', 'widget', 'first', '-o', 'jsonpath={.spec.replicas}')).toBe('5');
    await kubectl.ask('patch', 'widget', 'first', '--type=merge', '-p', '{"spec":{"note":"hi"}}');
    await kubectl.ask('label', 'widget/first', 'a=b');
    const edited = await kubectl.run(['edit', 'widget/first'], { KUBE_EDITOR: `sed -i 's/note: hi/note: ho/'` });
    expect(edited.stdout).toContain('edited');
    expect(await kubectl.ask('describe', 'widget', 'first')).toMatch(/Note: +ho/);
  });

  test('names the wrong field', async () => {
    const wrong = kubectl.file('wrong.yaml', manifest.replace('replicas: 2', 'replicas: two'));
    await expect(kubectl.ask('apply', '-f', wrong)).rejects.toMatchObject({
      stderr: expect.stringContaining('spec.replicas in body must be of type integer: "string"'),
    });
    const unknown = kubectl.file('unknown.yaml', manifest.replace('replicas: 2', 'replicsa: 2'));
    await expect(kubectl.ask('apply', '-f', unknown)).rejects.toMatchObject({
      stderr: expect.stringContaining('unknown field "spec.replicsa"'),
    });
  });

  test('watches, waits and deletes', async () => {
    const watching = spawn('kubectl', ['get', 'widgets', '-w'], { env: kubectl.environment });
    let watched = '';
    watching.stdout.on('data', chunk => (watched += String(chunk)));
    await eventually(() => watched.includes('first'));
    const waiting = kubectl.ask('wait', 'widget/first', '--for=condition=Ready', '--timeout=120s');
    const status = '{"status":{"conditions":[{"type":"Ready","status":"True"}]}}';
    await kubectl.ask('patch', 'widget', 'first', '--subresource=status', '--type=merge', '-p', status);
    expect(await waiting).toBe('widget.example.com/first condition met\n');
    await eventually(() => watched.includes('True'));
    watching.kill();
    expect(await kubectl.ask('delete', 'crd', 'widgets.example.com', '--timeout=120s')).toContain('deleted');
    await expect(kubectl.ask('get', 'widgets')).rejects.toMatchObject({ stderr: expect.stringContaining('widgets') });
  });
});
