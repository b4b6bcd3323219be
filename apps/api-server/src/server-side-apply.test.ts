import { nodes } from '@naru/api';
import { GrpcObjectsClient } from '@naru/client';
import { describeKubectl, Kubectl } from './testing/kubectl';
import { startTestServer, type TestServer } from './testing/test-server';

interface Entry {
  manager: string;
  operation: string;
  subresource?: string;
  time?: string;
  fieldsV1: Record<string, unknown>;
}

let api: TestServer;
beforeAll(async () => {
  api = await startTestServer();
});
afterAll(() => api.close());

const deployment = (name: string, replicas: number | undefined, container = 'image: example/web:1'): string => `
apiVersion: apps/v1
kind: Deployment
metadata: { name: ${name}, labels: { app: ${name} } }
spec:
${replicas === undefined ? '' : `  replicas: ${replicas}`}
  selector: { matchLabels: { app: ${name} } }
  template:
    metadata: { labels: { app: ${name} } }
    spec:
      containers:
      - name: web
        ${container}
`;

const widgets = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: { name: widgets.example.com }
spec:
  group: example.com
  scope: Namespaced
  names: { plural: widgets, singular: widget, kind: Widget }
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            properties:
              color: { type: string }
              ports:
                type: array
                x-kubernetes-list-type: map
                x-kubernetes-list-map-keys: [port, protocol]
                items:
                  type: object
                  required: [port]
                  properties:
                    port: { type: integer }
                    protocol: { type: string, default: TCP }
                    name: { type: string }
`;

describeKubectl('kubectl', () => {
  let client: Kubectl;
  beforeAll(() => void (client = new Kubectl(api)));
  const kubectl = (...args: string[]): Promise<string> => client.ask(...args);
  const fails = async (...args: string[]): Promise<{ stdout: string; stderr: string; code: number }> =>
    kubectl(...args).then(
      stdout => Promise.reject(new Error(`kubectl ${args.join(' ')} did not fail: ${stdout}`)),
      (error: { stdout: string; stderr: string; code: number }) => error,
    );
  let files = 0;
  const file = (text: string): string => client.file(`manifest-${files++}.yaml`, text);
  const apply = (text: string, ...flags: string[]): Promise<string> =>
    kubectl('apply', '--server-side', '-f', file(text), ...flags);
  const managers = async (what: string): Promise<string[]> => {
    const json = await kubectl('get', what, '-o', 'json', '--show-managed-fields');
    const { metadata } = JSON.parse(json) as { metadata: { managedFields: Entry[] } };
    // Sorted: their order depends on the second in which they were made.
    return metadata.managedFields
      .map(e => `${e.operation} ${e.manager}${e.subresource ? `/${e.subresource}` : ''}`)
      .sort();
  };
  const get = (what: string, jsonpath: string): Promise<string> => kubectl('get', what, '-o', `jsonpath=${jsonpath}`);

  test('applies, applies again, tells conflicts, and takes fields by force', async () => {
    expect(await apply(deployment('first', 2))).toBe('deployment.apps/first serverside-applied\n');
    const version = await get('deploy/first', '{.metadata.resourceVersion}');
    expect(await apply(deployment('first', 2))).toBe('deployment.apps/first serverside-applied\n');
    expect(await get('deploy/first', '{.metadata.resourceVersion}')).toBe(version);
    await kubectl('scale', 'deploy/first', '--replicas=5');
    expect(await managers('deploy/first')).toEqual(['Apply kubectl', 'Update kubectl/scale']);
    const { stderr, code } = await fails('apply', '--server-side', '-f', file(deployment('first', 2)));
    expect(code).toBe(1);
    expect(stderr).toContain(
      'error: Apply failed with 1 conflict: conflict with "kubectl" with subresource "scale" using apps/v1: .spec.replicas\n',
    );
    await apply(deployment('first', 2), '--force-conflicts');
    expect(await managers('deploy/first')).toEqual(['Apply kubectl']);
    expect(await get('deploy/first', '{.spec.replicas}')).toBe('2');
  });

  test('a field that is no longer applied goes back to its default or away', async () => {
    await apply(deployment('shrinks', 3, 'image: example/web:1\n        env: [{ name: A, value: b }]'));
    await apply(deployment('shrinks', undefined));
    expect(await get('deploy/shrinks', '{.spec.replicas} {.spec.template.spec.containers[0].env}')).toBe('1 ');
  });

  test('two managers share a list', async () => {
    await apply(deployment('shared', 1));
    const side = deployment('shared', undefined, 'image: example/side:1').replace('- name: web', '- name: side');
    await apply(side, '--field-manager=injector');
    const names = '{.spec.template.spec.containers[*].name}';
    expect(await get('deploy/shared', names)).toBe('web side');
    await apply(deployment('shared', 1, 'image: example/web:2'));
    expect(await get('deploy/shared', `${names} {.spec.template.spec.containers[*].image}`)).toBe(
      'web side example/web:2 example/side:1',
    );
    expect(await managers('deploy/shared')).toEqual(['Apply injector', 'Apply kubectl']);
  });

  test('shows the owners only when asked', async () => {
    await apply(deployment('hidden', 1));
    expect(await kubectl('get', 'deploy', 'hidden', '-o', 'yaml')).not.toContain('managedFields');
    const shown = await kubectl('get', 'deploy', 'hidden', '-o', 'yaml', '--show-managed-fields');
    expect(shown).toContain('k:{"name":"web"}:');
  });

  test('diff and dry run change nothing', async () => {
    await apply(deployment('dry', 1));
    const changed = file(deployment('dry', 4));
    const { stdout, code } = await fails('diff', '--server-side', '-f', changed);
    expect(code).toBe(1);
    expect(stdout).toMatch(/-  replicas: 1\n\+  replicas: 4/);
    expect(await kubectl('apply', '--server-side', '--dry-run=server', '-f', changed)).toContain('(server dry run)');
    expect(await get('deploy/dry', '{.spec.replicas}')).toBe('1');
    expect(await apply(deployment('absent', 1), '--dry-run=server')).toContain('(server dry run)');
    expect((await fails('get', 'deploy', 'absent')).stderr).toContain('not found');
  });

  test('takes over from client-side apply without conflicts, and removes what goes', async () => {
    await kubectl('apply', '-f', file(deployment('migrates', 3)));
    expect(await managers('deploy/migrates')).toEqual(['Update kubectl-client-side-apply']);
    await apply(deployment('migrates', undefined, 'image: example/web:2'));
    // The second is kubectl's own, which keeps the annotation.
    expect(await managers('deploy/migrates')).toEqual(['Apply kubectl', 'Apply kubectl-last-applied']);
    expect(await get('deploy/migrates', '{.spec.replicas} {.spec.template.spec.containers[0].image}')).toBe(
      '1 example/web:2',
    );
    // And back: the annotation was kept right.
    expect(await kubectl('apply', '-f', file(deployment('migrates', undefined, 'image: example/web:2')))).toContain(
      'deployment.apps/migrates',
    );
  });

  test('the last applied configuration can be seen, set and edited', async () => {
    await kubectl('apply', '-f', file(deployment('last', 2)));
    expect(await kubectl('apply', 'view-last-applied', 'deploy/last')).toContain('replicas: 2');
    const edited = await client.run(['apply', 'edit-last-applied', 'deploy/last'], {
      KUBE_EDITOR: `sed -i 's/replicas: 2/replicas: 7/'`,
    });
    expect(edited.stdout).toContain('deployment.apps/last edited');
    expect(await kubectl('apply', 'view-last-applied', 'deploy/last')).toContain('replicas: 7');
    await kubectl('apply', 'set-last-applied', '-f', file(deployment('last', 2)));
    expect(await kubectl('apply', 'view-last-applied', 'deploy/last')).toContain('replicas: 2');
  });

  test('each command is a manager of its own', async () => {
    await kubectl('create', 'configmap', 'many', '--from-literal=a=b');
    await kubectl('patch', 'configmap', 'many', '--type=merge', '-p', '{"data":{"c":"d"}}');
    await kubectl('annotate', 'configmap', 'many', 'x=y');
    await kubectl('label', 'configmap', 'many', 'x=y', '--field-manager=mine');
    expect(await managers('configmap/many')).toEqual([
      'Update kubectl-annotate',
      'Update kubectl-create',
      'Update kubectl-patch',
      'Update mine',
    ]);
    await kubectl('patch', 'configmap', 'many', '--type=merge', '-p', '{"metadata":{"managedFields":[{}]}}');
    expect(await get('configmap/many', '{.metadata.managedFields}')).toBe('');
  });

  test('applies many objects, and prunes none that others made', async () => {
    const list = file(
      [1, 2, 3]
        .map(i => `apiVersion: v1\nkind: ConfigMap\nmetadata: { name: cm-${i} }\ndata: { a: "${i}" }`)
        .join('\n---\n'),
    );
    expect((await kubectl('apply', '--server-side', '-f', list)).match(/serverside-applied/g)).toHaveLength(3);
  });

  test('custom resources merge as their definition says', async () => {
    await apply(widgets);
    await kubectl('wait', 'crd/widgets.example.com', '--for=condition=Established', '--timeout=120s');
    const widget = (spec: string): string =>
      `apiVersion: example.com/v1\nkind: Widget\nmetadata: { name: w }\nspec: ${spec}\n`;
    await apply(widget('{ color: red, ports: [{ port: 1, name: a }] }'));
    await apply(widget('{ ports: [{ port: 2, name: b }] }'), '--field-manager=two');
    expect(await get('widget/w', '{.spec.ports[*].name} {.spec.ports[*].protocol}')).toBe('a b TCP TCP');
    const blue = file(widget('{ color: blue }'));
    expect((await fails('apply', '--server-side', '--field-manager=two', '-f', blue)).stderr).toContain(
      'conflict with "kubectl": .spec.color',
    );
    await apply(widget('{ color: blue }'));
    expect(await get('widget/w', '{.spec.color} {.spec.ports[*].name}')).toBe('blue b');
  });

  test('tells unknown fields and wrong values', async () => {
    const wrong = file(deployment('wrong', 1, 'imagee: x'));
    const { stderr } = await fails('apply', '--server-side', '--validate=false', '-f', wrong);
    expect(stderr).toContain('imagee: field not declared in schema');
    const invalid = file(deployment('wrong', -1));
    expect((await fails('apply', '--server-side', '-f', invalid)).stderr).toContain('spec.replicas: Invalid value: -1');
  });
});

describe('the API', () => {
  const url = '/api/v1/namespaces/default/configmaps/direct';
  const config = (data: object, more: object = {}): string =>
    JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'direct', ...more }, data });
  const apply = (query: string, body: string, at = url) =>
    api.call('PATCH', `${at}?${query}`, body, { headers: { 'content-type': 'application/apply-patch+yaml' } });

  test('creates with 201 and updates with 200', async () => {
    expect(await apply('fieldManager=a', config({ k: 'v' }))).toMatchObject({ code: 201 });
    expect(await apply('fieldManager=a', config({ k: 'w' }))).toMatchObject({ code: 200, json: { data: { k: 'w' } } });
  });

  test.each([
    ['a missing manager', '', config({}), 422, 'fieldManager: Required value: is required for apply patch'],
    [
      'owners in the configuration',
      'fieldManager=a',
      config({}, { managedFields: [{ manager: 'x' }] }),
      400,
      'metadata.managedFields must be nil',
    ],
    [
      'another kind',
      'fieldManager=a',
      config({}).replace('ConfigMap', 'Secret'),
      400,
      'invalid object type: v1, Kind=Secret',
    ],
    ['another name', 'fieldManager=a', config({}, { name: 'other' }), 400, 'does not match the name on the URL'],
    ['text', 'fieldManager=a', '- a', 400, 'not an object'],
    ['wrong YAML', 'fieldManager=a', 'a: [', 400, 'error converting YAML to JSON'],
    ['another version', 'fieldManager=a', config({}, { resourceVersion: '1' }), 409, 'the object has been modified'],
    ['another uid', 'fieldManager=a', config({}, { uid: 'x' }), 409, 'Precondition failed: UID'],
  ])('refuses %s', async (_, query, body, code, message) => {
    expect(await apply(query, body)).toMatchObject({ code, json: { message: expect.stringContaining(message) } });
  });

  test('refuses force on other patches', async () => {
    const reply = await api.call('PATCH', `${url}?force=true`, '{}', {
      headers: { 'content-type': 'application/merge-patch+json' },
    });
    expect(reply).toMatchObject({
      code: 422,
      json: { message: expect.stringContaining('force: Forbidden: may not be specified for non-apply patch') },
    });
  });

  test('tells conflicts with a cause for each field', async () => {
    await apply('fieldManager=one', config({ x: '1', y: '1' }));
    const reply = await apply('fieldManager=two', config({ x: '2', y: '2' }));
    expect(reply).toMatchObject({
      code: 409,
      json: {
        reason: 'Conflict',
        message: 'Apply failed with 2 conflicts: conflicts with "one":\n- .data.x\n- .data.y',
        details: {
          causes: [
            { reason: 'FieldManagerConflict', message: 'conflict with "one"', field: '.data.x' },
            { reason: 'FieldManagerConflict', message: 'conflict with "one"', field: '.data.y' },
          ],
        },
      },
    });
    expect(await apply('fieldManager=two&force=true', config({ x: '2' }))).toMatchObject({ code: 200 });
  });

  test('a status is applied by its subresource, and owned there', async () => {
    const pod = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'p' },
      spec: { containers: [{ name: 'c', image: 'i' }] },
    };
    const at = '/api/v1/namespaces/default/pods';
    await api.call('POST', '/api/v1/namespaces/default/serviceaccounts', { metadata: { name: 'default' } });
    expect(await api.call('POST', at, pod, { headers: { 'user-agent': 'tool/v1 (x)' } })).toMatchObject({ code: 201 });
    const condition = { type: 'Ready', status: 'True' };
    const status = JSON.stringify({ ...pod, spec: undefined, status: { phase: 'Running', conditions: [condition] } });
    const reply = await apply('fieldManager=agent', status, `${at}/p/status`);
    expect(reply).toMatchObject({ code: 200, json: { status: { phase: 'Running' } } });
    const { managedFields } = (reply.json as unknown as { metadata: { managedFields: Entry[] } }).metadata;
    expect(managedFields.map(({ manager, operation, subresource }) => [manager, operation, subresource])).toEqual([
      ['agent', 'Apply', 'status'],
      ['tool', 'Update', undefined],
    ]);
    expect(managedFields[0]?.fieldsV1).toEqual({
      'f:status': {
        'f:conditions': { 'k:{"type":"Ready"}': { '.': {}, 'f:status': {}, 'f:type': {} } },
        'f:phase': {},
      },
    });
    // What admission added belongs to nobody.
    expect(JSON.stringify(managedFields[1]?.fieldsV1)).not.toContain('serviceAccount');
  });

  test('appliers that race to create an object all end well', async () => {
    const at = '/api/v1/namespaces/default/configmaps/raced';
    const body = (key: string): string =>
      JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'raced' }, data: { [key]: 'x' } });
    const keys = ['a', 'b', 'c', 'd', 'e', 'f'];
    const replies = await Promise.all(keys.map(key => apply(`fieldManager=${key}`, body(key), at)));
    expect(replies.map(({ code }) => code).sort()).toEqual([200, 200, 200, 200, 200, 201]);
    const { json } = await api.call('GET', at);
    expect(Object.keys((json as unknown as { data: object }).data)).toEqual(expect.arrayContaining(keys));
  });

  test('components that come by gRPC are managers under their own names', async () => {
    const connect = (name: string): GrpcObjectsClient =>
      new GrpcObjectsClient(`127.0.0.1:${api.grpcPort}`, {
        ca: api.files.ca,
        certificate: api.files.certificate(name),
        key: api.files.key(name),
      });
    const [admin, kubelet] = [connect('admin'), connect('node-1')];
    try {
      await admin.create(nodes, { metadata: { name: 'node-1', labels: { a: 'b' } } });
      const status = { conditions: [{ type: 'Ready', status: 'True' }] };
      const patch = { type: 'strategic', body: { status } } as const;
      const patched = await kubelet.patch(nodes, { name: 'node-1' }, patch, { subresource: 'status' });
      const entries = patched.metadata.managedFields ?? [];
      const managers = Object.fromEntries(entries.map(({ manager, subresource }) => [manager, subresource]));
      expect(managers).toEqual({ 'kubernetes-admin': undefined, kubelet: 'status' });
    } finally {
      admin.close();
      kubelet.close();
    }
  });
});
