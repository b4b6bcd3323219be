import { mergePatch, okJson } from '../testing/expect-reply';
import { eventually, startTestServer, type Reply, type TestServer } from '../testing/test-server';
import { startWebhookServer, type WebhookServer } from '../testing/webhook-server';

// Upstream's tests of admission webhooks and policies: what they ask of pods, deployments, custom resources and connections.
let api: TestServer;
let webhook: WebhookServer;
const group = '/apis/admissionregistration.k8s.io/v1';
const core = '/api/v1/namespaces/default';
const deployments = '/apis/apps/v1/namespaces/default/deployments';
const refused = 'denied the request: ';

beforeAll(async () => {
  api = await startTestServer();
  webhook = await startWebhookServer();
  await okJson(api.call('POST', `${core}/serviceaccounts`, { metadata: { name: 'default' } }), 201);
});
afterAll(async () => {
  await api.close();
  await webhook.close();
});

const written: string[] = [];
afterEach(async () => {
  for (const url of written.splice(0).reverse()) await okJson(api.call('DELETE', url));
});

async function write(collection: string, name: string, body: object): Promise<void> {
  await okJson(api.call('POST', collection, { metadata: { name }, ...body }), 201);
  written.push(`${collection}/${name}`);
}

interface Rules {
  apiGroups?: string[];
  resources: string[];
  operations: string[];
}

function register(kind: 'validating' | 'mutating', path: string, rules: Rules[], more: object = {}): Promise<void> {
  const hook = {
    name: `${path.slice(1)}.example.com`,
    clientConfig: webhook.clientConfig(path),
    rules: rules.map(rule => ({ apiGroups: [''], apiVersions: ['*'], ...rule })),
    sideEffects: 'None',
    admissionReviewVersions: ['v1'],
    ...more,
  };
  return write(`${group}/${kind}webhookconfigurations`, path.slice(1), { webhooks: [hook] });
}

const pod = (name: string, labels: object = {}): object => ({
  metadata: { name, labels },
  spec: { containers: [{ name: 'c', image: 'i' }] },
});
const map = (name: string, data: object = {}): object => ({ metadata: { name }, data });
const messageOf = async (reply: Promise<Reply>): Promise<string> => String((await reply).json['message']);

describe('a webhook of upstream', () => {
  test('denies pods and config maps that are, or become, what it does not want, but for exempt namespaces', async () => {
    const why = 'the object contains unwanted content';
    webhook.answers.set('/deny', ({ object }) => ({
      allowed: object.metadata?.labels?.unwanted === undefined && object.data?.unwanted === undefined,
      status: { message: why },
    }));
    const namespaceSelector = {
      matchExpressions: [{ key: 'skip-webhook-admission', operator: 'NotIn', values: ['yes'] }],
    };
    const rules = [{ resources: ['pods', 'configmaps'], operations: ['CREATE', 'UPDATE'] }];
    await register('validating', '/deny', rules, { namespaceSelector });
    const unwanted = { unwanted: 'yes' };
    expect(await messageOf(api.call('POST', `${core}/pods`, pod('denied', unwanted)))).toContain(refused + why);
    expect(await messageOf(api.call('POST', `${core}/configmaps`, map('denied', unwanted)))).toContain(refused + why);
    await okJson(api.call('POST', `${core}/configmaps`, map('wanted')), 201);
    const url = `${core}/configmaps/wanted`;
    expect(await messageOf(api.call('PUT', url, map('wanted', unwanted)))).toContain(refused + why);
    expect(await messageOf(api.call('PATCH', url, { data: unwanted }, mergePatch))).toContain(refused + why);
    const exempt = { metadata: { name: 'exempt', labels: { 'skip-webhook-admission': 'yes' } } };
    await okJson(api.call('POST', '/api/v1/namespaces', exempt), 201);
    await okJson(api.call('POST', '/api/v1/namespaces/exempt/configmaps', map('denied', unwanted)), 201);
  });

  test('denies attaching to a pod', async () => {
    await okJson(api.call('POST', `${core}/pods`, pod('to-be-attached')), 201);
    webhook.answers.set('/attach', ({ operation, resource, subResource, name }) => ({
      allowed: false,
      status: { message: `${operation} of ${resource.resource}/${subResource} ${name} is not allowed` },
    }));
    await register('validating', '/attach', [{ resources: ['pods/attach'], operations: ['CONNECT'] }]);
    const headers = { connection: 'Upgrade', upgrade: 'SPDY/3.1', 'x-stream-protocol-version': 'v4.channel.k8s.io' };
    const attach = `${core}/pods/to-be-attached/attach?container=c&stdin=true`;
    const said = await messageOf(api.call('POST', attach, undefined, { headers }));
    expect(said).toContain(`${refused}CONNECT of pods/attach to-be-attached is not allowed`);
  });

  test.each([
    { timeoutSeconds: 1, failurePolicy: 'Fail', passes: false },
    { timeoutSeconds: 1, failurePolicy: 'Ignore', passes: true },
    { timeoutSeconds: undefined, failurePolicy: 'Fail', passes: true },
  ])('that takes two seconds, asked for $timeoutSeconds and then $failurePolicy: passes $passes', async row => {
    webhook.answers.set('/slow', () => new Promise(resolve => setTimeout(resolve, 2_000, { allowed: true })));
    const { timeoutSeconds, failurePolicy } = row;
    await register('validating', '/slow', [{ resources: ['pods'], operations: ['CREATE'] }], {
      timeoutSeconds,
      failurePolicy,
    });
    const { code, json } = await api.call(
      'POST',
      `${core}/pods`,
      pod(`slow-${timeoutSeconds}-${failurePolicy.toLowerCase()}`),
    );
    expect(code).toBe(row.passes ? 201 : 500);
    if (!row.passes) expect(json['message']).toContain('context deadline exceeded');
  });
});

describe('webhooks and custom resources', () => {
  const noxus = (version: string): string => `/apis/hooked.example.com/${version}/namespaces/default/noxus`;
  const definition = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions/noxus.hooked.example.com';
  const preserve = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };
  const versions = (stored: string): object[] =>
    ['v1', 'v2'].map(name => ({ name, served: true, storage: name === stored, schema: { openAPIV3Schema: preserve } }));
  const rules = [
    { apiGroups: ['hooked.example.com'], resources: ['noxus'], operations: ['CREATE', 'UPDATE', 'DELETE'] },
  ];
  const noxu = (name: string, data: object): object => ({
    apiVersion: 'hooked.example.com/v1',
    kind: 'Noxu',
    metadata: { name },
    data,
  });

  beforeAll(async () => {
    const names = { plural: 'noxus', singular: 'noxu', kind: 'Noxu' };
    const spec = { group: 'hooked.example.com', scope: 'Namespaced', names, versions: versions('v1') };
    const body = { metadata: { name: 'noxus.hooked.example.com' }, spec };
    await okJson(api.call('POST', definition.slice(0, definition.lastIndexOf('/')), body), 201);
    await eventually(async () => (await api.call('GET', noxus('v2'))).code === 200);
  });

  test('creation, change and deletion of custom resources are denied', async () => {
    await okJson(api.call('POST', noxus('v1'), noxu('kept', { key: 'deletable' })), 201);
    webhook.answers.set('/noxu', ({ object, oldObject, operation }) => ({
      allowed: (operation === 'DELETE' ? oldObject : object).data.key !== 'offending',
      status: { message: 'the custom resource contains unwanted data' },
    }));
    await register('validating', '/noxu', rules);
    const denied = `${refused}the custom resource contains unwanted data`;
    const offending = { data: { key: 'offending' } };
    expect(await messageOf(api.call('POST', noxus('v1'), noxu('new', offending.data)))).toContain(denied);
    expect(await messageOf(api.call('PATCH', `${noxus('v1')}/kept`, offending, mergePatch))).toContain(denied);
    await okJson(api.call('DELETE', written.pop()!));
    await okJson(api.call('PATCH', `${noxus('v1')}/kept`, offending, mergePatch));
    await register('validating', '/noxu', rules);
    expect(await messageOf(api.call('DELETE', `${noxus('v1')}/kept`))).toContain(denied);
    await okJson(api.call('PATCH', `${noxus('v1')}/kept`, { data: { key: 'fine' } }, mergePatch));
    await okJson(api.call('DELETE', `${noxus('v1')}/kept`));
  });

  test('custom resources are mutated also when another version is stored than they were created in', async () => {
    const add = (path: string): object => ({ op: 'add', path, value: 'yes' });
    webhook.answers.set('/mutate', ({ object }) => ({
      allowed: true,
      patch: [
        ...(object.data['mutation-start'] ? [add('/data/mutation-stage-1')] : []),
        ...(object.data['mutation-stage-1'] ? [add('/data/mutation-stage-2')] : []),
      ],
    }));
    await register('mutating', '/mutate', rules);
    await okJson(api.call('POST', noxus('v1'), noxu('cr', { 'mutation-start': 'yes' })), 201);
    const versionsPatch = { spec: { versions: versions('v2') } };
    await okJson(api.call('PATCH', definition, versionsPatch, mergePatch));
    await eventually(async () => {
      const { status } = await okJson(api.call('GET', definition));
      return (status.storedVersions as string[]).includes('v2');
    });
    const patched = await okJson(api.call('PATCH', `${noxus('v1')}/cr`, { dummy: 'test' }, mergePatch));
    expect(patched).toMatchObject({
      dummy: 'test',
      data: { 'mutation-start': 'yes', 'mutation-stage-1': 'yes', 'mutation-stage-2': 'yes' },
    });
  });
});

describe('an admission policy about deployments', () => {
  const labels = { app: 'nginx' };
  const deployment = (name: string, replicas: number): object => ({
    metadata: { name, labels },
    spec: {
      replicas,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers: [{ name: 'nginx', image: 'nginx:latest' }] } },
    },
  });
  const resourceRules = [
    { apiGroups: ['apps'], apiVersions: ['v1'], operations: ['CREATE', 'UPDATE'], resources: ['deployments'] },
  ];
  const namespaceSelector = { matchLabels: { 'kubernetes.io/metadata.name': 'default' } };
  const bind = async (kind: string, spec: object): Promise<void> => {
    const matchConstraints = { resourceRules, namespaceSelector };
    await write(`${group}/${kind}admissionpolicies`, 'policy.example.com', { spec: { matchConstraints, ...spec } });
    const actions = kind === 'validating' ? { validationActions: ['Deny'] } : {};
    const binding = { policyName: 'policy.example.com', matchResources: { namespaceSelector }, ...actions };
    await write(`${group}/${kind}admissionpolicybindings`, 'binding.example.com', { spec: binding });
  };
  const create = (name: string, replicas: number): Promise<Reply> =>
    api.call('POST', deployments, deployment(name, replicas));

  test('validates them, by its variables too', async () => {
    const variables = [
      { name: 'replicas', expression: 'object.spec.replicas' },
      { name: 'oddReplicas', expression: 'variables.replicas % 2 == 1' },
    ];
    await bind('validating', {
      variables,
      validations: [
        { expression: 'variables.replicas > 1', messageExpression: "'wants more than ' + string(variables.replicas)" },
        { expression: 'variables.oddReplicas', reason: 'Invalid' },
      ],
    });
    const few = await okJson(create('few', 1), 422);
    expect(few['message']).toContain('denied request: wants more than 1');
    const even = await okJson(create('even', 4), 422);
    expect(even).toMatchObject({ reason: 'Invalid' });
    expect(even['message']).toContain('failed expression: variables.oddReplicas');
    await okJson(create('odd', 3), 201);
  });

  test('mutates their annotations and their number of replicas', async () => {
    const apply = (expression: string): object => ({
      patchType: 'ApplyConfiguration',
      applyConfiguration: { expression },
    });
    await bind('mutating', {
      reinvocationPolicy: 'Never',
      mutations: [
        apply('Object{metadata: Object.metadata{annotations: {"mutated-by": "admission-policy"}}}'),
        apply('Object{spec: Object.spec{replicas: 1337}}'),
      ],
    });
    expect(await okJson(create('mutated', 1), 201)).toMatchObject({
      metadata: { annotations: { 'mutated-by': 'admission-policy' } },
      spec: { replicas: 1337 },
    });
  });
});
