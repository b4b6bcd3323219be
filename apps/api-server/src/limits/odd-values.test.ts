import { startTestServer, type TestServer } from '../testing/test-server';

/** What the fuzz test has found, one of each kind. */
describe('values that nobody means', () => {
  let api: TestServer;
  beforeAll(async () => (api = await startTestServer()));
  afterAll(() => api.close());

  test('of options of deletion are refused, with the field', async () => {
    for (const options of [
      { propagationPolicy: {} },
      { gracePeriodSeconds: 'x' },
      { dryRun: 'All' },
      { preconditions: { uid: 1 } },
    ]) {
      const { code, json } = await api.call('DELETE', '/api/v1/namespaces/default/configmaps/a', options);
      expect([code, json['reason']]).toEqual([400, 'BadRequest']);
      expect(json['message']).toContain(Object.keys(options)[0]);
    }
  });

  test('are no surprise when they are names that every object has', async () => {
    const limits = [
      { type: 'Container', min: { constructor: '1' }, max: { toString: '2' }, default: { valueOf: '3' } },
    ];
    const range = { metadata: { name: 'a' }, spec: { limits } };
    expect((await api.call('POST', '/api/v1/namespaces/default/limitranges', range)).code).toBeLessThan(500);
    const proto = '{"metadata":{"name":"p"},"type":"__proto__","stringData":{"__proto__":"x"}}';
    expect((await api.call('POST', '/api/v1/namespaces/default/secrets', proto)).code).toBe(201);
    const { json } = await api.call('GET', '/api/v1/namespaces/default/secrets/p');
    expect(Object.keys(json['data'])).toEqual(['__proto__']);
  });

  test('of names are refused when they are longer than a key of the store can be', async () => {
    const role = { metadata: { name: 'x'.repeat(5000) }, rules: [] };
    const { code, json } = await api.call('POST', '/apis/rbac.authorization.k8s.io/v1/namespaces/default/roles', role);
    expect(code).toBe(422);
    expect(json['message']).toContain('must be no more than 1024 characters');
  });

  test('of patterns are refused before they can end the process', async () => {
    const definition = (pattern: string) => ({
      metadata: { name: 'widgets.odd.example' },
      spec: {
        group: 'odd.example',
        scope: 'Namespaced',
        names: { plural: 'widgets', kind: 'Widget' },
        versions: [
          {
            ...{ name: 'v1', served: true, storage: true },
            schema: { openAPIV3Schema: { type: 'object', properties: { a: { type: 'string', pattern } } } },
          },
        ],
      },
    });
    const rule = definition('a');
    const schema = rule.spec.versions[0]!.schema.openAPIV3Schema.properties.a as Record<string, unknown>;
    schema['x-kubernetes-validations'] = [{ rule: `self.matches('${'(a'.repeat(4000)}${')'.repeat(4000)}')` }];
    const refused = await api.call('POST', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions', rule);
    expect(refused.json['message']).toContain('expression nests too deeply');
    for (const [pattern, why] of [
      ['x'.repeat(300_000), 'expression too large'],
      ['(a'.repeat(2000) + ')'.repeat(2000), 'expression nests too deeply'],
      ['a(?=b)', 'invalid or unsupported Perl syntax'],
    ] as const) {
      const { code, json } = await api.call(
        'POST',
        '/apis/apiextensions.k8s.io/v1/customresourcedefinitions',
        definition(pattern),
      );
      expect(code).toBe(422);
      expect(json['message']).toContain(why);
    }
  });
});
