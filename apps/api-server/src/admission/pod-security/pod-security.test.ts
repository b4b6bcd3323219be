import { startTestServer, type Reply, type TestServer } from '../../testing/test-server';
import { violations } from './levels';

let api: TestServer;
beforeAll(async () => {
  api = await startTestServer();
});
afterAll(() => api.close());

const good = {
  allowPrivilegeEscalation: false,
  capabilities: { drop: ['ALL'] },
  runAsNonRoot: true,
  seccompProfile: { type: 'RuntimeDefault' },
};

async function namespace(name: string, labels: Record<string, string>): Promise<Reply> {
  const own = Object.fromEntries(
    Object.entries(labels).map(([key, value]) => [`pod-security.kubernetes.io/${key}`, value]),
  );
  const reply = await api.call('POST', '/api/v1/namespaces', { metadata: { name, labels: own } });
  if (reply.code === 201)
    await api.call('POST', `/api/v1/namespaces/${name}/serviceaccounts`, { metadata: { name: 'default' } });
  return reply;
}

function pod(ns: string, name: string, securityContext: object, spec: object = {}): Promise<Reply> {
  const containers = [{ name: 'c', image: 'i', securityContext }];
  return api.call('POST', `/api/v1/namespaces/${ns}/pods`, { metadata: { name }, spec: { containers, ...spec } });
}

describe('a namespace', () => {
  test('that is restricted lets only restricted pods in, and says what is wrong with others', async () => {
    await namespace('strict', { enforce: 'restricted' });
    const { code, json } = await pod('strict', 'bad', { privileged: true });
    expect([code, json['message']]).toEqual([
      403,
      'pods "bad" is forbidden: violates PodSecurity "restricted:latest": privileged (container "c" must not set securityContext.privileged=true), allowPrivilegeEscalation != false (container "c" must set securityContext.allowPrivilegeEscalation=false), unrestricted capabilities (container "c" must set securityContext.capabilities.drop=["ALL"]), runAsNonRoot != true (pod or container "c" must set securityContext.runAsNonRoot=true), seccompProfile (pod or container "c" must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")',
    ]);
    expect((await pod('strict', 'good', good)).code).toBe(201);
  });

  test('at the baseline lets plain pods in, and warns of what it is told to warn of', async () => {
    await namespace('base', { enforce: 'baseline', 'enforce-version': 'v1.30', warn: 'restricted' });
    const refused = await pod('base', 'bad', {}, { hostNetwork: true });
    expect(refused.json['message']).toContain(
      'violates PodSecurity "baseline:v1.30": host namespaces (hostNetwork=true)',
    );
    const { code, headers } = await pod('base', 'plain', {});
    expect(code).toBe(201);
    expect(headers['warning']).toContain('would violate PodSecurity \\"restricted:latest\\": allowPrivilegeEscalation');
    const template = { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'c', image: 'i' }] } };
    const deployment = { metadata: { name: 'd' }, spec: { selector: { matchLabels: { a: 'b' } }, template } };
    const warned = await api.call('POST', '/apis/apps/v1/namespaces/base/deployments', deployment);
    expect([warned.code, warned.headers['warning']]).toEqual([
      201,
      expect.stringContaining('would violate PodSecurity'),
    ]);
  });

  test('that becomes stricter tells which of its pods would not be let in', async () => {
    await namespace('changing', {});
    await pod('changing', 'a', { privileged: true });
    await pod('changing', 'b', { privileged: true });
    const patch = { metadata: { labels: { 'pod-security.kubernetes.io/enforce': 'baseline' } } };
    const headers = { 'content-type': 'application/merge-patch+json' };
    const reply = await api.call('PATCH', '/api/v1/namespaces/changing', patch, { headers });
    expect(reply.code).toBe(200);
    expect(reply.headers['warning']).toContain(
      'existing pods in namespace \\"changing\\" violate the new PodSecurity enforce level \\"baseline:latest\\"',
    );
    expect(reply.headers['warning']).toContain('a (and 1 other pod): privileged');
  });

  test('cannot ask for a level that does not exist', async () => {
    const { code, json } = await namespace('wrong', { enforce: 'strict' });
    expect([code, json['message']]).toEqual([
      422,
      'Namespace "wrong" is invalid: metadata.labels[pod-security.kubernetes.io/enforce]: Invalid value: "strict": must be one of privileged, baseline, restricted',
    ]);
  });
});

const container = (more: object): object => ({
  containers: [{ name: 'c', image: 'i', securityContext: good, ...more }],
});
const context = (more: object): object => container({ securityContext: { ...good, ...more } });

test.each([
  ['baseline', { hostPID: true, hostIPC: true }, 'host namespaces (hostPID=true, hostIPC=true)'],
  ['baseline', { volumes: [{ name: 'v', hostPath: { path: '/' } }] }, 'hostPath volumes (volume "v")'],
  [
    'baseline',
    container({ ports: [{ containerPort: 80, hostPort: 80 }] }),
    'hostPort (container "c" uses hostPort 80)',
  ],
  [
    'baseline',
    context({ capabilities: { add: ['SYS_ADMIN'] } }),
    'non-default capabilities (container "c" must not include "SYS_ADMIN" in securityContext.capabilities.add)',
  ],
  [
    'baseline',
    { securityContext: { seccompProfile: { type: 'Unconfined' } } },
    'seccompProfile (pod must not set securityContext.seccompProfile.type to "Unconfined")',
  ],
  [
    'baseline',
    { securityContext: { sysctls: [{ name: 'kernel.msgmax', value: '1' }] } },
    'forbidden sysctls (kernel.msgmax)',
  ],
  [
    'baseline',
    { securityContext: { seLinuxOptions: { type: 'spc_t', user: 'u' } } },
    'seLinuxOptions (pod set forbidden securityContext.seLinuxOptions: type "spc_t"; user may not be set)',
  ],
  [
    'baseline',
    context({ procMount: 'Unmasked' }),
    'procMount (container "c" must not set securityContext.procMount to "Unmasked")',
  ],
  [
    'baseline',
    { securityContext: { appArmorProfile: { type: 'Unconfined' } } },
    'forbidden AppArmor profile (pod must not set AppArmor profile type to "Unconfined")',
  ],
  [
    'baseline',
    container({ livenessProbe: { httpGet: { host: '1.1.1.1', port: 1 } } }),
    'probe or lifecycle host (container "c" uses probe or lifecycle host "1.1.1.1")',
  ],
  [
    'baseline',
    { securityContext: { windowsOptions: { hostProcess: true } } },
    'hostProcess (pod must not set securityContext.windowsOptions.hostProcess=true)',
  ],
  [
    'restricted',
    { ...container({}), volumes: [{ name: 'v', nfs: {} }] },
    'restricted volume types (volume "v" uses restricted volume type "nfs")',
  ],
  ['restricted', context({ runAsUser: 0 }), 'runAsUser=0 (container "c" must not set runAsUser=0)'],
  [
    'restricted',
    context({ runAsNonRoot: false }),
    'runAsNonRoot != true (container "c" must not set securityContext.runAsNonRoot=false)',
  ],
  [
    'restricted',
    context({ capabilities: { drop: ['ALL'], add: ['CHOWN', 'NET_BIND_SERVICE'] } }),
    'unrestricted capabilities (container "c" must not include "CHOWN" in securityContext.capabilities.add)',
  ],
] as const)('the level %s does not allow %j', (level, spec, text) => {
  expect(violations({ level, version: 'latest' }, { containers: [], ...spec } as never, {})?.text).toBe(text);
});

test('the restricted level allows what it asks for', () => {
  const spec = { ...container({}), volumes: [{ name: 'v', emptyDir: {} }], securityContext: { fsGroup: 1 } };
  expect(violations({ level: 'restricted', version: 'latest' }, spec as never, {})).toBeUndefined();
});
