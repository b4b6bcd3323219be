import type { IncomingMessage } from 'node:http';
import type { KubeObject } from '@naru/api';
import { systemClock, type Clock } from '@naru/foundation';
import { Gatekeeper } from './gatekeeper';

interface Question {
  token?: string;
  user?: string;
  resourceAttributes?: { verb: string; subresource: string; name: string };
}

/** An api-server that knows one token and gives `rights` to everybody but the unknown. */
function gate(rights: string[]) {
  const asked: Question[] = [];
  let now = 0;
  const create = async (_type: unknown, object: KubeObject): Promise<never> => {
    const { spec } = object as { spec: Question };
    asked.push(spec);
    const { subresource, verb } = spec.resourceAttributes ?? { subresource: '', verb: '' };
    const status = spec.token
      ? { authenticated: spec.token === 'good', user: { username: 'scraper', groups: ['readers'] } }
      : { allowed: rights.includes(`${verb} ${subresource}`) };
    return { ...object, status } as never;
  };
  const clock: Clock = { ...systemClock, now: () => now };
  const gatekeeper = new Gatekeeper({ client: { create }, clock, nodeName: 'worker-1' });
  return { gatekeeper, asked, pass: (ms: number) => void (now += ms) };
}

function request(options: { cn?: string; o?: string; token?: string; method?: string }): IncomingMessage {
  const { cn, o, token, method = 'GET' } = options;
  const subject = { CN: cn, ...(o ? { O: o } : {}) };
  return {
    method,
    headers: token ? { authorization: `Bearer ${token}` } : {},
    socket: { authorized: cn !== undefined, getPeerCertificate: () => ({ subject }) },
  } as unknown as IncomingMessage;
}

test('the api-server and administrators need nobody else to say so', async () => {
  const { gatekeeper, asked } = gate([]);
  await gatekeeper.check(request({ cn: 'kube-apiserver' }), 'exec');
  await gatekeeper.check(request({ cn: 'admin', o: 'system:masters' }), 'run');
  expect(asked).toEqual([]);
});

test('without a certificate or a known token nobody gets in', async () => {
  const { gatekeeper } = gate(['get metrics']);
  await expect(gatekeeper.check(request({}), 'metrics')).rejects.toMatchObject({ reason: 'Unauthorized' });
  await expect(gatekeeper.check(request({ token: 'bad' }), 'metrics')).rejects.toMatchObject({
    reason: 'Unauthorized',
  });
});

test('a right to metrics is no right to reach into containers', async () => {
  const { gatekeeper } = gate(['get metrics', 'get stats']);
  const scraper = request({ token: 'good' });
  await expect(gatekeeper.check(scraper, 'metrics')).resolves.toMatchObject({ user: 'scraper' });
  await expect(gatekeeper.check(scraper, 'stats')).resolves.toBeDefined();
  for (const route of ['exec', 'containerLogs', 'run', 'dial', 'pods', 'constructor'])
    await expect(gatekeeper.check(scraper, route)).rejects.toMatchObject({
      reason: 'Forbidden',
      message: expect.stringContaining('user=scraper, verb=get, resource=nodes'),
    });
  const post = request({ token: 'good', method: 'POST' });
  await expect(gatekeeper.check(post, 'metrics')).rejects.toMatchObject({ reason: 'Forbidden' });
});

test('the narrow right to pods is enough, and so is proxy', async () => {
  await expect(gate(['get pods']).gatekeeper.check(request({ cn: 'x' }), 'pods')).resolves.toBeDefined();
  await expect(gate(['get proxy']).gatekeeper.check(request({ cn: 'x' }), 'pods')).resolves.toBeDefined();
});

test('decisions are remembered for a while: what was allowed for five minutes, what was denied for half a minute', async () => {
  const { gatekeeper, asked, pass } = gate(['get metrics']);
  const scraper = request({ cn: 'scraper' });
  for (let i = 0; i < 3; i++) await gatekeeper.check(scraper, 'metrics');
  expect(asked).toHaveLength(1);
  expect(asked[0]).toMatchObject({
    user: 'scraper',
    groups: ['system:authenticated'],
    resourceAttributes: { verb: 'get', resource: 'nodes', subresource: 'metrics', name: 'worker-1' },
  });
  pass(299_000);
  await gatekeeper.check(scraper, 'metrics');
  expect(asked).toHaveLength(1);
  pass(2_000);
  await gatekeeper.check(scraper, 'metrics');
  expect(asked).toHaveLength(2);
  await expect(gatekeeper.check(scraper, 'logs')).rejects.toThrow();
  pass(31_000);
  await expect(gatekeeper.check(scraper, 'logs')).rejects.toThrow();
  expect(asked).toHaveLength(4);
});
