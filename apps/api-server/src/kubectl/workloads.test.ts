import { spawn } from 'node:child_process';
import { describeKubectl, Kubectl } from '../testing/kubectl';
import { eventually, startTestServer, type TestServer } from '../testing/test-server';

// There are no controllers here: a test plays them where a command waits for their work.
describeKubectl('kubectl with workloads', () => {
  let api: TestServer;
  let kubectl: Kubectl;
  const field = (path: string, what = 'deploy/web'): Promise<string> =>
    kubectl.ask('get', what, '-o', `jsonpath={${path}}`);
  const status = (what: string, body: object): Promise<string> =>
    kubectl.ask('patch', what, '--subresource=status', '--type=merge', '-p', JSON.stringify({ status: body }));

  beforeAll(async () => {
    api = await startTestServer();
    kubectl = new Kubectl(api);
    await kubectl.ask('create', 'serviceaccount', 'default');
    await kubectl.ask('create', 'deployment', 'web', '--image=app:1', '--replicas=2', '--port=80');
  });
  afterAll(() => api.close());

  test('set changes images, environment, resources, selectors, accounts and subjects', async () => {
    const container = '.spec.template.spec.containers[0]';
    await kubectl.ask('set', 'image', 'deploy/web', 'app=app:2');
    expect(await field(`${container}.image`)).toBe('app:2');
    await kubectl.ask('set', 'env', 'deploy/web', 'COLOR=blue');
    expect(await kubectl.ask('set', 'env', 'deploy/web', '--list')).toContain('COLOR=blue');
    await kubectl.ask('set', 'resources', 'deploy/web', '--limits=cpu=1,memory=64Mi', '--requests=cpu=500m');
    expect(await field(`${container}.resources`)).toBe(
      '{"limits":{"cpu":"1","memory":"64Mi"},"requests":{"cpu":"500m"}}',
    );
    await kubectl.ask('set', 'serviceaccount', 'deploy/web', 'runner');
    expect(await field('.spec.template.spec.serviceAccountName')).toBe('runner');
    await kubectl.ask('create', 'service', 'clusterip', 'front', '--tcp=80');
    await kubectl.ask('set', 'selector', 'service/front', 'app=other');
    expect(await field('.spec.selector', 'service/front')).toBe('{"app":"other"}');
    await kubectl.ask('create', 'rolebinding', 'readers', '--clusterrole=view', '--user=jane');
    await kubectl.ask('set', 'subject', 'rolebinding/readers', '--user=june');
    expect(await field('.subjects[*].name', 'rolebinding/readers')).toBe('jane june');
  });

  test('scale changes the number of replicas, if it is as expected', async () => {
    await kubectl.ask('scale', 'deploy/web', '--replicas=3', '--current-replicas=2');
    expect(await field('.spec.replicas')).toBe('3');
    expect(await kubectl.complaint('scale', 'deploy/web', '--replicas=4', '--current-replicas=2')).toContain(
      'Expected replicas to be 2, was 3',
    );
  });

  test('autoscale makes an autoscaler, which get shows', async () => {
    expect(await kubectl.ask('autoscale', 'deploy/web', '--min=2', '--max=5', '--cpu-percent=70')).toBe(
      'horizontalpodautoscaler.autoscaling/web autoscaled\n',
    );
    expect(await kubectl.ask('get', 'hpa')).toMatch(
      /NAME +REFERENCE +TARGETS +MINPODS +MAXPODS +REPLICAS +AGE\nweb +Deployment\/web +cpu: <unknown>\/70% +2 +5 +0 /,
    );
    expect(await kubectl.ask('describe', 'hpa', 'web')).toMatch(/Max replicas: +5/);
  });

  test('expose makes a Service for a deployment', async () => {
    expect(await kubectl.ask('expose', 'deploy/web', '--port=8080', '--target-port=80', '--type=NodePort')).toBe(
      'service/web exposed\n',
    );
    expect(await field('.spec.selector.app} {.spec.ports[0].targetPort', 'service/web')).toBe('web 80');
  });

  test('rollout restarts, pauses, resumes, tells its status and history, and undoes', async () => {
    await kubectl.ask('rollout', 'pause', 'deploy/web');
    expect(await field('.spec.paused')).toBe('true');
    expect(await kubectl.complaint('rollout', 'restart', 'deploy/web')).toContain("can't restart paused deployment");
    await kubectl.ask('rollout', 'resume', 'deploy/web');
    await kubectl.ask('rollout', 'restart', 'deploy/web');
    expect(await field('.spec.template.metadata.annotations')).toContain('kubectl.kubernetes.io/restartedAt');
    const generation = Number(await field('.metadata.generation'));
    const waiting = kubectl.ask('rollout', 'status', 'deploy/web', '--timeout=120s');
    const done = {
      observedGeneration: generation,
      replicas: 3,
      updatedReplicas: 3,
      readyReplicas: 3,
      availableReplicas: 3,
    };
    await status('deploy/web', done);
    expect(await waiting).toContain('deployment "web" successfully rolled out');
    // Two revisions, as the deployment controller leaves them.
    const uid = await field('.metadata.uid');
    const owner = { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web', uid, controller: true };
    for (const [index, image] of ['app:1', 'app:2'].entries()) {
      const labels = { app: 'web', 'pod-template-hash': `h${index}` };
      const spec = { containers: [{ name: 'app', image }] };
      const set = {
        apiVersion: 'apps/v1',
        kind: 'ReplicaSet',
        metadata: {
          name: `web-h${index}`,
          labels,
          ownerReferences: [owner],
          annotations: { 'deployment.kubernetes.io/revision': String(index + 1) },
        },
        spec: { replicas: 0, selector: { matchLabels: labels }, template: { metadata: { labels }, spec } },
      };
      await kubectl.ask('create', '-f', kubectl.file('revision.json', set));
    }
    await kubectl.ask('annotate', 'deploy/web', 'deployment.kubernetes.io/revision=2');
    expect(await kubectl.ask('rollout', 'history', 'deploy/web')).toMatch(
      /REVISION +CHANGE-CAUSE\n1 +<none>\n2 +<none>/,
    );
    expect(await kubectl.ask('rollout', 'undo', 'deploy/web', '--to-revision=1')).toBe(
      'deployment.apps/web rolled back\n',
    );
    expect(await field('.spec.template.spec.containers[0].image')).toBe('app:1');
  });

  test('run makes a pod; wait waits for conditions, values and deletion', async () => {
    await kubectl.ask('run', 'one', '--image=app:1', '--labels=a=b', '--env=X=Y', '--restart=Never');
    const waits = [
      kubectl.ask('wait', 'pod/one', '--for=condition=Ready', '--timeout=120s'),
      kubectl.ask('wait', 'pod', '-l', 'a=b', '--for=jsonpath={.status.phase}=Running', '--timeout=120s'),
    ];
    await status('pod/one', { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] });
    expect(await Promise.all(waits)).toEqual(['pod/one condition met\n', 'pod/one condition met\n']);
    const hold = (finalizers: string[]) =>
      kubectl.ask('patch', 'pod/one', '--type=merge', '-p', JSON.stringify({ metadata: { finalizers } }));
    await hold(['example.com/held']);
    await kubectl.ask('delete', 'pod/one', '--now', '--wait=false');
    let isOver = false;
    const gone = kubectl.ask('wait', 'pod/one', '--for=delete', '--timeout=120s').finally(() => (isOver = true));
    await kubectl.ask('get', 'pod/one');
    expect(isOver).toBe(false);
    await hold([]);
    await gone;
    expect(await kubectl.complaint('get', 'pod/one')).toContain('NotFound');
    expect(await kubectl.complaint('wait', 'deploy/web', '--for=condition=Never', '--timeout=0s')).toContain(
      'condition not met for deployments/web',
    );
  });

  test('get -w follows changes, as a table and as events', async () => {
    const follow = (...args: string[]) => {
      const child = spawn('kubectl', ['get', 'cm', ...args], { env: kubectl.environment });
      const seen = { text: '', stop: () => child.kill() };
      child.stdout.on('data', chunk => (seen.text += String(chunk)));
      return seen;
    };
    await kubectl.ask('create', 'configmap', 'first');
    const table = follow('-w');
    const events = follow('-w', '--output-watch-events');
    await eventually(() => table.text.includes('first') && events.text.includes('ADDED'));
    await kubectl.ask('create', 'configmap', 'second');
    await kubectl.ask('delete', 'configmap', 'second');
    await eventually(() => /second +0/.test(table.text) && events.text.includes('DELETED'));
    table.stop();
    events.stop();
  });

  test('events and describe tell what happened to an object', async () => {
    const uid = await field('.metadata.uid');
    await api.call('POST', '/api/v1/namespaces/default/events', {
      metadata: { name: 'web.1' },
      involvedObject: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web', namespace: 'default', uid },
      reason: 'ScalingReplicaSet',
      message: 'Scaled up',
      type: 'Normal',
      count: 2,
      firstTimestamp: new Date().toISOString(),
      lastTimestamp: new Date().toISOString(),
      source: { component: 'tester' },
    });
    expect(await kubectl.ask('events', '--for=deployment/web')).toMatch(
      /Normal +ScalingReplicaSet +Deployment\/web +Scaled up/,
    );
    expect(await kubectl.ask('events', '--types=Warning')).not.toContain('Scaled up');
    expect(
      await kubectl.ask(
        'get',
        'events',
        '--field-selector',
        'involvedObject.name=web,reason=ScalingReplicaSet',
        '-o',
        'name',
      ),
    ).toBe('event/web.1\n');
    expect(await kubectl.ask('describe', 'deploy', 'web')).toMatch(/Normal +ScalingReplicaSet .* tester +Scaled up/);
  });
});
