import type { PriorityLevelConfiguration } from '@naru/api';
import { eventually, startTestServer, tokens, type Reply, type TestServer } from '../testing/test-server';
import { startWebhookServer, type WebhookServer } from '../testing/webhook-server';
import { PriorityLevel, type Seat } from './priority-level';

const flowControl = '/apis/flowcontrol.apiserver.k8s.io/v1';
const schemaHeader = 'x-kubernetes-pf-flowschema-uid';
const levelHeader = 'x-kubernetes-pf-prioritylevel-uid';

function level(limited: object, nominal: number): PriorityLevel {
  const made: PriorityLevel = new PriorityLevel(
    'test',
    () => false,
    () => made.dispatch(),
  );
  made.configure('uid', { type: 'Limited', limited } as PriorityLevelConfiguration['spec']);
  made.nominal = nominal;
  return made;
}

describe('a priority level', () => {
  const { signal } = new AbortController();
  const queuing = { queues: 8, handSize: 2, queueLengthLimit: 3 };

  test('without queues refuses what is too much', () => {
    const tight = level({ limitResponse: { type: 'Reject' } }, 1);
    const seat = tight.enter(1, signal) as Seat;
    expect(() => tight.enter(1, signal)).toThrow('Too many requests, please try again later.');
    seat.release();
    seat.release();
    expect([tight.executing, (tight.enter(1, signal) as Seat) !== undefined]).toEqual([0, true]);
  });

  test('with queues lets a flow wait as long as its queues have room, and others beside it', async () => {
    const queued = level({ limitResponse: { type: 'Queue', queuing } }, 1);
    const first = queued.enter(0, signal) as Seat;
    const greedy = Array.from({ length: 6 }, () => queued.enter(0, signal) as Promise<Seat>);
    expect(() => queued.enter(0, signal)).toThrow('Too many requests');
    const other = queued.enter(3, signal) as Promise<Seat>;
    expect(queued.waiting).toBe(7);
    // Queues are served in turn: the other flow does not come last.
    const order: string[] = [];
    for (const [index, waiting] of greedy.entries())
      void waiting.then(seat => {
        order.push(`greedy ${index}`);
        seat.release();
      });
    void other.then(seat => {
      order.push('other');
      seat.release();
    });
    first.release();
    await Promise.all([...greedy, other]);
    await eventually(() => queued.executing === 0);
    expect(order.indexOf('other')).toBeLessThan(3);
  });

  test('forgets who does not want to wait any more', async () => {
    const queued = level({ limitResponse: { type: 'Queue', queuing } }, 1);
    void queued.enter(0, signal);
    const leaving = new AbortController();
    const waiting = queued.enter(0, leaving.signal) as Promise<Seat>;
    leaving.abort();
    await expect(waiting).rejects.toMatchObject({ why: 'cancelled' });
    expect(queued.waiting).toBe(0);
  });
});

describe('a server', () => {
  let api: TestServer;
  let webhook: WebhookServer;
  beforeAll(async () => {
    // So few that every level has one seat or two.
    api = await startTestServer({ maxConcurrentRequests: 8 });
    webhook = await startWebhookServer();
  });
  afterAll(async () => {
    await api.close();
    await webhook.close();
  });

  const uidOf = async (resource: string, name: string): Promise<string> =>
    (await api.call('GET', `${flowControl}/${resource}/${name}`)).json['metadata'].uid as string;

  test('begins with the flow schemas and priority levels of upstream, and tells each request its own', async () => {
    const levels = await api.call('GET', `${flowControl}/prioritylevelconfigurations`);
    expect(levels.json['items'].map((item: { metadata: { name: string } }) => item.metadata.name)).toEqual(
      'catch-all exempt global-default leader-election node-high system workload-high workload-low'.split(' '),
    );
    const admin = await api.call('GET', '/api/v1/pods');
    expect(admin.headers[schemaHeader]).toBe(await uidOf('flowschemas', 'exempt'));
    expect(admin.headers[levelHeader]).toBe(await uidOf('prioritylevelconfigurations', 'exempt'));
    const nobody = await api.call('GET', '/api/v1/pods', undefined, { token: tokens.nobody });
    expect([nobody.code, nobody.headers[schemaHeader]]).toEqual([403, await uidOf('flowschemas', 'global-default')]);
    const node = await api.call('GET', '/api/v1/nodes/node-1', undefined, { identity: 'node-1' });
    expect(node.headers[schemaHeader]).toBe(await uidOf('flowschemas', 'system-node-high'));
  });

  test('classifies by a schema of its own, and refuses what is too much for its level', async () => {
    const limited = { nominalConcurrencyShares: 1, borrowingLimitPercent: 0, limitResponse: { type: 'Reject' } };
    const own = { metadata: { name: 'tight' }, spec: { type: 'Limited', limited } };
    expect((await api.call('POST', `${flowControl}/prioritylevelconfigurations`, own)).code).toBe(201);
    const rule = { verbs: ['create'], apiGroups: [''], resources: ['configmaps'], namespaces: ['*'] };
    const subjects = [{ kind: 'User', user: { name: 'nobody' } }];
    const spec = {
      priorityLevelConfiguration: { name: 'tight' },
      matchingPrecedence: 50,
      rules: [{ subjects, resourceRules: [rule] }],
    };
    expect((await api.call('POST', `${flowControl}/flowschemas`, { metadata: { name: 'own' }, spec })).code).toBe(201);
    const rbac = '/apis/rbac.authorization.k8s.io/v1';
    const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'cluster-admin' };
    const binding = { metadata: { name: 'n' }, roleRef, subjects: [{ kind: 'User', name: 'nobody' }] };
    expect((await api.call('POST', `${rbac}/clusterrolebindings`, binding)).code).toBe(201);

    // A webhook keeps the first request from ending until it is told to.
    let answer: () => void = () => undefined;
    webhook.answers.set('/hold', () => new Promise(resolve => (answer = () => resolve({ allowed: true }))));
    const hook = {
      name: 'hold.example.com',
      clientConfig: webhook.clientConfig('/hold'),
      rules: [{ operations: ['CREATE'], apiGroups: [''], apiVersions: ['v1'], resources: ['configmaps'] }],
      objectSelector: { matchLabels: { hold: 'yes' } },
      sideEffects: 'None',
      admissionReviewVersions: ['v1'],
      timeoutSeconds: 30,
    };
    const hooks = '/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations';
    expect((await api.call('POST', hooks, { metadata: { name: 'h' }, webhooks: [hook] })).code).toBe(201);
    const create = (name: string, labels: object = {}): Promise<Reply> =>
      api.call(
        'POST',
        '/api/v1/namespaces/default/configmaps',
        { metadata: { name, labels } },
        { token: tokens.nobody },
      );
    const held = create('held', { hold: 'yes' });
    await eventually(() => webhook.seen.length > 0);
    const refused = await create('refused');
    expect([refused.code, refused.headers['retry-after'], refused.json['reason']]).toEqual([
      429,
      '1',
      'TooManyRequests',
    ]);
    expect(refused.headers[schemaHeader]).toBe(await uidOf('flowschemas', 'own'));
    answer();
    expect((await held).code).toBe(201);
    await eventually(async () => (await create('again')).code === 201);
    const { text } = await api.call('GET', '/metrics');
    expect(text).toContain(
      'apiserver_flowcontrol_rejected_requests_total{priority_level="tight",flow_schema="own",reason="concurrency-limit"}',
    );
    expect(text).toMatch(
      /apiserver_flowcontrol_dispatched_requests_total\{priority_level="tight",flow_schema="own"\} \d/,
    );
    expect(text).toContain('apiserver_flowcontrol_nominal_limit_seats{priority_level="tight"} 1');
  });

  test('says of a flow schema whether its level is there', async () => {
    const url = `${flowControl}/flowschemas`;
    const subjects = [{ kind: 'User', user: { name: 'x' } }];
    const rules = [{ subjects, nonResourceRules: [{ verbs: ['get'], nonResourceURLs: ['/x'] }] }];
    const spec = { priorityLevelConfiguration: { name: 'later' }, matchingPrecedence: 60, rules };
    await api.call('POST', url, { metadata: { name: 'dangling' }, spec });
    const isDangling = async (wanted: string): Promise<boolean> => {
      const { json } = await api.call('GET', `${url}/dangling`);
      const conditions = (json['status']?.conditions ?? []) as { type: string; status: string }[];
      return conditions.some(({ type, status }) => type === 'Dangling' && status === wanted);
    };
    await eventually(() => isDangling('True'));
    const level = { type: 'Limited', limited: { limitResponse: { type: 'Reject' } } };
    await api.call('POST', `${flowControl}/prioritylevelconfigurations`, { metadata: { name: 'later' }, spec: level });
    await eventually(() => isDangling('False'));
  });

  test('does not let watches keep seats', async () => {
    const url = '/api/v1/replicationcontrollers?watch=1&timeoutSeconds=1';
    const watches = Array.from({ length: 20 }, () => api.call('GET', url, undefined, { token: tokens.nobody }));
    expect((await Promise.all(watches)).map(({ code }) => code)).toEqual(Array(20).fill(200));
  });
});
