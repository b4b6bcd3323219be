import { mergePatch, okJson } from '../testing/expect-reply';
import { eventually, startTestServer, type Reply, type TestServer } from '../testing/test-server';
import { startWebhookServer, type WebhookServer } from '../testing/webhook-server';

// Upstream's tests of webhook configurations: what they change takes effect, what is wrong in them is refused.
let api: TestServer;
let webhook: WebhookServer;
beforeAll(async () => {
  api = await startTestServer();
  webhook = await startWebhookServer();
  webhook.answers.set('/deny', ({ object }) => ({ allowed: object.data?.denied !== 'yes' }));
  webhook.answers.set('/mark', () => ({ allowed: true, patch: [{ op: 'add', path: '/data/marked', value: 'yes' }] }));
});
afterAll(async () => {
  await api.close();
  await webhook.close();
});

const group = '/apis/admissionregistration.k8s.io/v1';
const configMaps = '/api/v1/namespaces/default/configmaps';
const jsonPatch = { headers: { 'content-type': 'application/json-patch+json' } };

const rows = [
  { kind: 'Validating', path: '/deny', met: ({ code }: Reply) => code === 400 },
  { kind: 'Mutating', path: '/mark', met: ({ json }: Reply) => json['data']?.marked === 'yes' },
];

const collectionOf = (kind: string): string => `${group}/${kind.toLowerCase()}webhookconfigurations`;

function configuration(name: string, path: string, operations: string[], more: object = {}): object {
  const rules = [{ operations, apiGroups: [''], apiVersions: ['v1'], resources: ['configmaps'] }];
  const hook = { name: `${name}.example.com`, clientConfig: webhook.clientConfig(path), rules };
  return {
    metadata: { name, labels: { 'e2e-list': 'true' } },
    webhooks: [{ ...hook, sideEffects: 'None', admissionReviewVersions: ['v1'], ...more }],
  };
}

let count = 0;
/** Whether the webhook has its way with a new config map. */
async function takesEffect(met: (reply: Reply) => boolean): Promise<boolean> {
  const reply = await api.call('POST', configMaps, { metadata: { name: `cm-${++count}` }, data: { denied: 'yes' } });
  return met(reply);
}

describe.each(rows)('$kind webhook configurations', ({ kind, path, met }) => {
  const url = `${collectionOf(kind)}/changing`;
  const holds = (wanted: boolean): Promise<unknown> => eventually(async () => (await takesEffect(met)) === wanted);

  test('are obeyed as they are after each update and patch of their rules', async () => {
    await okJson(api.call('POST', collectionOf(kind), configuration('changing', path, ['CREATE'])), 201);
    await holds(true);
    const current = await okJson(api.call('GET', url));
    current['webhooks'][0].rules[0].operations = ['UPDATE'];
    await okJson(api.call('PUT', url, current));
    await holds(false);
    const operations = [{ op: 'replace', path: '/webhooks/0/rules/0/operations', value: ['CREATE'] }];
    await okJson(api.call('PATCH', url, operations, jsonPatch));
    await holds(true);
    await okJson(api.call('DELETE', url));
    await holds(false);
  });

  test('are listed by label, and obeyed no more when they are deleted together', async () => {
    for (const name of ['a', 'b'])
      await okJson(api.call('POST', collectionOf(kind), configuration(name, path, ['CREATE'])), 201);
    const query = 'labelSelector=e2e-list%3Dtrue';
    const list = await okJson(api.call('GET', `${collectionOf(kind)}?${query}`));
    expect(list['items']).toHaveLength(2);
    await holds(true);
    await okJson(api.call('DELETE', `${collectionOf(kind)}?${query}`));
    await holds(false);
    expect((await okJson(api.call('GET', `${collectionOf(kind)}?${query}`)))['items']).toEqual([]);
  });

  test('keep match conditions that compile, refuse others, and leave out what does not match', async () => {
    const matchConditions = [{ name: 'expression-1', expression: "object.metadata.name == 'matched'" }];
    const own = configuration('changing', path, ['CREATE'], { matchConditions });
    expect((await okJson(api.call('POST', collectionOf(kind), own), 201))['webhooks'][0]).toMatchObject({
      matchConditions,
    });
    const broken = [...matchConditions, { name: 'broken', expression: '... [' }];
    const wrong = configuration('wrong', path, ['CREATE'], { matchConditions: broken });
    const refusals = [
      await okJson(api.call('POST', collectionOf(kind), wrong), 422),
      await okJson(
        api.call('PATCH', url, [{ op: 'replace', path: '/webhooks/0/matchConditions', value: broken }], jsonPatch),
        422,
      ),
    ];
    for (const { message } of refusals)
      expect(message).toMatch(/webhooks\[0\]\.matchConditions\[1\]\.expression: Invalid value[^]*compilation failed/);
    const create = (name: string): Promise<Reply> =>
      api.call('POST', configMaps, { metadata: { name }, data: { denied: 'yes' } });
    await eventually(
      async () => met(await create('matched')) || (await api.call('DELETE', `${configMaps}/matched`), false),
    );
    expect(met(await create(`other-${kind.toLowerCase()}`))).toBe(false);
    await api.call('DELETE', `${configMaps}/matched`);
    await okJson(api.call('PATCH', url, { metadata: { labels: { patched: 'yes' } } }, mergePatch));
    await okJson(api.call('DELETE', url));
  });

  test('are in the discovery of their group', async () => {
    const version = { groupVersion: 'admissionregistration.k8s.io/v1', version: 'v1' };
    const { groups } = await okJson(api.call('GET', '/apis'));
    expect(groups).toContainEqual(
      expect.objectContaining({ name: 'admissionregistration.k8s.io', preferredVersion: version }),
    );
    const { resources } = await okJson(api.call('GET', group));
    expect((resources as { name: string }[]).map(({ name }) => name)).toContain(
      `${kind.toLowerCase()}webhookconfigurations`,
    );
  });
});
