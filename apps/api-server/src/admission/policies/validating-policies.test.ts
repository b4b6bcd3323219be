import { eventually, startTestServer, tokens, type Reply, type TestServer } from '../../testing/test-server';
import { widgetDefinition } from '../../testing/widget-definition';

let api: TestServer;
const group = '/apis/admissionregistration.k8s.io/v1';
const configMaps = '/api/v1/namespaces/default/configmaps';

beforeAll(async () => {
  api = await startTestServer();
});
afterAll(() => api.close());

const written: string[] = [];
afterEach(async () => {
  for (const url of written.splice(0)) await api.call('DELETE', url);
});

const rules = (resource: string, apiGroup = ''): object => ({
  resourceRules: [
    { apiGroups: [apiGroup], apiVersions: ['*'], operations: ['CREATE', 'UPDATE', 'DELETE'], resources: [resource] },
  ],
});

async function write(url: string, object: { metadata: { name: string } }): Promise<void> {
  expect((await api.call('POST', url, object)).json['message']).toBeUndefined();
  written.push(`${url}/${object.metadata.name}`);
}

function policy(spec: object): { metadata: { name: string }; spec: object } {
  return { metadata: { name: 'p' }, spec: { matchConstraints: rules('configmaps'), ...spec } };
}

/** Writes a policy `p` and its binding `b`. */
async function enforce(spec: object, binding: object = {}): Promise<void> {
  await write(`${group}/validatingadmissionpolicies`, policy(spec));
  await write(`${group}/validatingadmissionpolicybindings`, {
    metadata: { name: 'b' },
    spec: { policyName: 'p', validationActions: ['Deny'], ...binding },
  } as never);
}

const configMap = (name: string, data: object = {}): object => ({ metadata: { name }, data });
const create = (object: object, options = {}): Promise<Reply> => api.call('POST', configMaps, object, options);

describe('a validating admission policy', () => {
  test('denies what its validations do not hold for, in words and with a reason of its choice', async () => {
    await enforce({
      validations: [
        { expression: "!has(object.data) || !('a' in object.data)" },
        { expression: "object.metadata.name != 'root'", message: 'root is taken', reason: 'Forbidden' },
        {
          expression: 'object.metadata.name.size() < 8',
          message: 'too long',
          messageExpression: "object.metadata.name + ' is too long by ' + string(object.metadata.name.size() - 7)",
        },
      ],
    });
    expect((await create(configMap('fine'))).code).toBe(201);
    const first = await create(configMap('x', { a: '1' }));
    expect([first.code, first.json['reason'], first.json['message']]).toEqual([
      422,
      'Invalid',
      `configmaps "x" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: failed expression: !has(object.data) || !('a' in object.data)`,
    ]);
    const second = await create(configMap('root'));
    expect([second.code, second.json['message']]).toMatchObject([403, expect.stringContaining('root is taken')]);
    expect((await create(configMap('much-too-long'))).json['message']).toContain('much-too-long is too long by 6');
  });

  test('without a binding, or under one for other requests, does nothing', async () => {
    await write(`${group}/validatingadmissionpolicies`, policy({ validations: [{ expression: 'false' }] }));
    expect((await create(configMap('unbound'))).code).toBe(201);
    const matchResources = { namespaceSelector: { matchLabels: { strict: 'yes' } } };
    await write(`${group}/validatingadmissionpolicybindings`, {
      metadata: { name: 'b' },
      spec: { policyName: 'p', validationActions: ['Deny'], matchResources },
    } as never);
    expect((await create(configMap('elsewhere'))).code).toBe(201);
    await api.call('POST', '/api/v1/namespaces', { metadata: { name: 'strict', labels: { strict: 'yes' } } });
    expect((await api.call('POST', '/api/v1/namespaces/strict/configmaps', configMap('here'))).code).toBe(422);
  });

  test('may only warn', async () => {
    await enforce(
      { validations: [{ expression: 'false', message: 'mind this' }] },
      { validationActions: ['Warn', 'Audit'] },
    );
    const { code, headers } = await create(configMap('warned'));
    expect([code, headers['warning']]).toEqual([
      201,
      `299 - "Validation failed for ValidatingAdmissionPolicy 'p' with binding 'b': mind this"`,
    ]);
  });

  test('sees the request, the old object and the namespace', async () => {
    await enforce({
      validations: [
        { expression: "request.operation != 'CREATE' || oldObject == null" },
        { expression: "request.operation != 'UPDATE' || object.data.a == oldObject.data.a", message: 'a is fixed' },
        { expression: "request.operation != 'DELETE' || (object == null && oldObject.data.a != 'kept')" },
        { expression: "namespaceObject.metadata.name == request.namespace && request.userInfo.username == 'admin'" },
      ],
    });
    expect((await create(configMap('seen', { a: 'kept' }))).code).toBe(201);
    const changed = await api.call('PUT', `${configMaps}/seen`, configMap('seen', { a: '2' }));
    expect(changed.json['message']).toContain('a is fixed');
    expect((await api.call('DELETE', `${configMaps}/seen`)).code).toBe(422);
  });

  test('composes variables, and asks only what matches its conditions', async () => {
    await enforce({
      matchConditions: [{ name: 'not-exempt', expression: "!object.metadata.name.startsWith('exempt')" }],
      variables: [
        { name: 'data', expression: 'has(object.data) ? object.data : {}' },
        { name: 'total', expression: 'variables.data.map(k, int(variables.data[k])).sum()' },
      ],
      validations: [{ expression: 'variables.total <= 10', messageExpression: "'total ' + string(variables.total)" }],
    });
    expect((await create(configMap('sum1', { a: '4', b: '6' }))).code).toBe(201);
    expect((await create(configMap('sum2', { a: '4', b: '7' }))).json['message']).toContain('total 11');
    expect((await create(configMap('exempt', { a: '40' }))).code).toBe(201);
  });

  test('takes parameters from objects, also of custom kinds', async () => {
    await create(configMap('limits', { max: '2' }));
    const paramKind = { apiVersion: 'v1', kind: 'ConfigMap' };
    const validations = [{ expression: 'params == null || object.data.size() <= int(params.data.max)' }];
    await enforce({ paramKind, validations }, { paramRef: { name: 'limits', parameterNotFoundAction: 'Deny' } });
    expect((await create(configMap('two', { a: '', b: '' }))).code).toBe(201);
    expect((await create(configMap('three', { a: '', b: '', c: '' }))).code).toBe(422);
    const elsewhere = await api.call('POST', '/api/v1/namespaces/kube-public/configmaps', configMap('x', { a: '' }));
    expect(elsewhere.json['message']).toContain(
      'failed to configure binding: no params found for policy binding with `Deny` parameterNotFoundAction',
    );
    for (const url of written.splice(0)) await api.call('DELETE', url);

    const crds = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
    await api.call('POST', crds, widgetDefinition());
    const widgets = '/apis/example.com/v1/namespaces/default/widgets';
    await eventually(async () => (await api.call('GET', widgets)).code === 200);
    const widget = { apiVersion: 'example.com/v1', kind: 'Widget', metadata: { name: 'w', labels: { use: 'yes' } } };
    await api.call('POST', widgets, { ...widget, spec: { size: 'small', replicas: 1 } });
    await enforce(
      {
        paramKind: { apiVersion: 'example.com/v1', kind: 'Widget' },
        validations: [{ expression: 'object.data.size() <= params.spec.replicas' }],
      },
      { paramRef: { selector: { matchLabels: { use: 'yes' } }, parameterNotFoundAction: 'Allow' } },
    );
    expect((await create(configMap('few', { a: '' }))).code).toBe(201);
    expect((await create(configMap('many', { a: '', b: '' }))).code).toBe(422);
    await api.call('DELETE', `${widgets}/w`);
    expect((await create(configMap('many', { a: '', b: '' }))).code).toBe(201);
  });

  test('asks the authorizer', async () => {
    await enforce({
      validations: [
        {
          expression:
            "authorizer.group('').resource('secrets').namespace('default').check('delete').allowed() && authorizer.requestResource.check('get').allowed() && authorizer.path('/metrics').check('get').allowed()",
          message: 'only for those who may delete secrets',
        },
        { expression: "!authorizer.serviceAccount('default', 'x').group('').resource('pods').check('get').allowed()" },
      ],
    });
    expect((await create(configMap('by-admin'))).code).toBe(201);
    const rbac = '/apis/rbac.authorization.k8s.io/v1';
    const writer = { verbs: ['create'], apiGroups: [''], resources: ['configmaps'] };
    await api.call('POST', `${rbac}/clusterroles`, { metadata: { name: 'writer' }, rules: [writer] });
    await api.call('POST', `${rbac}/clusterrolebindings`, {
      metadata: { name: 'writer' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'writer' },
      subjects: [{ kind: 'User', name: 'nobody' }],
    });
    const refused = await create(configMap('by-nobody'), { token: tokens.nobody });
    expect(refused.json['message']).toContain('only for those who may delete secrets');
  });

  test('that cannot be evaluated denies or lets pass, as its failure policy says', async () => {
    const validations = [{ expression: "object.data.missing == 'x'" }];
    await enforce({ validations });
    expect((await create(configMap('broken'))).json['message']).toContain(
      `denied request: expression 'object.data.missing == 'x'' resulted in error: no such key: data`,
    );
    for (const url of written.splice(0)) await api.call('DELETE', url);
    await enforce({ validations, failurePolicy: 'Ignore' });
    expect((await create(configMap('broken'))).code).toBe(201);
  });

  test('runs only as long as its budget lasts', async () => {
    const keys = 'object.data.map(a, object.data.map(b, object.data.map(c, object.data.map(d, d)))).size() > 0';
    await enforce({ validations: [{ expression: keys }] });
    const data = Object.fromEntries(Array.from({ length: 120 }, (_, i) => [`k${i}`, '']));
    expect((await create(configMap('large', data))).json['message']).toContain('running out of cost budget');
  });

  test('is never asked about policies', async () => {
    const everything = {
      resourceRules: [{ apiGroups: ['*'], apiVersions: ['*'], operations: ['*'], resources: ['*'] }],
    };
    await enforce({ matchConstraints: everything, validations: [{ expression: 'false' }] });
    expect((await create(configMap('z'))).code).toBe(422);
    for (const url of written.splice(0)) expect((await api.call('DELETE', url)).code).toBe(200);
  });
});

describe('expressions that do not compile', () => {
  test.each([
    [{ validations: [{ expression: 'object.x ==' }] }, 'spec.validations[0].expression'],
    [{ validations: [{ expression: "'text'" }] }, 'must evaluate to bool'],
    [{ validations: [{ expression: 'params.a == 1' }] }, "undeclared reference to 'params'"],
    [{ validations: [{ expression: 'variables.a == 1' }] }, "undefined field 'a'"],
    [{ validations: [{ expression: 'request.foo == 1' }] }, "undefined field 'foo'"],
    [{ validations: [{ expression: 'true', messageExpression: '1' }] }, 'spec.validations[0].messageExpression'],
    [
      { variables: [{ name: 'a', expression: 'nothing' }], validations: [{ expression: 'true' }] },
      'spec.variables[0].expression',
    ],
    [
      { matchConditions: [{ name: 'a', expression: '...' }], validations: [{ expression: 'true' }] },
      'spec.matchConditions[0].expression',
    ],
  ])('in a policy are refused: %j', async (spec, message) => {
    const { code, json } = await api.call('POST', `${group}/validatingadmissionpolicies`, policy(spec));
    expect([code, json['message']]).toEqual([422, expect.stringContaining(message)]);
  });

  test('in a webhook are refused', async () => {
    const webhook = {
      name: 'a.example.com',
      clientConfig: { url: 'https://127.0.0.1:1/x' },
      rules: [],
      sideEffects: 'None',
      admissionReviewVersions: ['v1'],
      matchConditions: [{ name: 'bad', expression: '... [] bad expression' }],
    };
    const url = `${group}/validatingwebhookconfigurations`;
    const { code, json } = await api.call('POST', url, { metadata: { name: 'bad' }, webhooks: [webhook] });
    expect([code, json['message']]).toMatchObject([422, expect.stringContaining('compilation failed')]);
  });
});
