import type { Pod } from '@naru/api';
import { eventually } from '@naru/testing';
import { apply, ask, createNamespace, kubectl, naru } from './cluster';

const namespace = 'names';

const pod = (name: string, extra: string, node: string): string => `
apiVersion: v1
kind: Pod
metadata: { name: ${name}, labels: { app: ${name.replace(/-\d$/, '')} } }
spec:
  terminationGracePeriodSeconds: 0
  nodeSelector: { kubernetes.io/hostname: ${node} }
  ${extra}
  containers: [{ name: main, image: 'naru.dev/web:v1', ports: [{ name: http, containerPort: 8080 }] }]
---`;

const manifest = `
${pod('db-0', 'hostname: db-0\n  subdomain: db', 'worker-1')}
${pod('db-1', 'hostname: db-1\n  subdomain: db', 'worker-2')}
${pod('client', '', 'worker-1')}
apiVersion: v1
kind: Service
metadata: { name: web }
spec: { selector: { app: db }, ports: [{ name: http, port: 80, targetPort: http }] }
---
apiVersion: v1
kind: Service
metadata: { name: db }
spec: { clusterIP: None, selector: { app: db }, ports: [{ name: http, port: 8080 }] }
---
apiVersion: v1
kind: Service
metadata: { name: alias }
spec: { type: ExternalName, externalName: web.${namespace}.svc.cluster.local }
`;

const inPod = (...command: string[]): Promise<string> => ask('-n', namespace, 'exec', 'client', '--', ...command);

/** The addresses that nslookup prints after the server's own. */
async function lookup(name: string): Promise<string[]> {
  const { stdout } = await kubectl(['-n', namespace, 'exec', 'client', '--', 'nslookup', '-type=A', name]);
  return [...stdout.matchAll(/^Address: (\S+)$/gm)].map(match => match[1] as string).sort();
}

/** Asks until that is the answer: a datagram may be lost, and servers hear of a change when they do. */
const expectAnswer = (name: string, wanted: unknown): Promise<void> =>
  eventually(async () => expect(await lookup(name)).toEqual(wanted), 90_000, 100);

/** The page that is there by this URL: the Service's rules on the node may come a little after its name. */
const fetchInPod = (url: string): Promise<string> =>
  eventually(() => inPod('timeout', '5', 'wget', '-qO-', url), 90_000, 100);

async function addressesOf(selector: string): Promise<string[]> {
  const items = await ask('-n', namespace, 'get', 'pods', '-l', selector, '-o', 'jsonpath={.items[*].status.podIP}');
  return items.split(' ').sort();
}

interface Row {
  name: string;
  pid?: number;
  health: string;
}

async function dnsProcesses(): Promise<Row[]> {
  const { stdout } = await naru(['status', '--output', 'json'], { anyCode: true });
  const { processes } = JSON.parse(stdout) as { processes: Row[] };
  return processes.filter(({ name }) => /^dns(-\d+)?$/.test(name));
}

const zone = `${namespace}.svc.cluster.local`;

beforeAll(async () => {
  await createNamespace(namespace);
  await apply(manifest, '-n', namespace);
  await kubectl(['-n', namespace, 'wait', '--for=condition=Ready', 'pod', '--all', '--timeout=120s']);
  await expectAnswer(`db.${zone}`, [expect.any(String), expect.any(String)]);
});

afterAll(() => kubectl(['delete', 'namespace', namespace, '--wait=false', '--ignore-not-found']));

test("a pod's resolv.conf is upstream's", async () => {
  expect((await inPod('cat', '/etc/resolv.conf')).split('\n')).toEqual(
    expect.arrayContaining([
      expect.stringMatching(
        new RegExp(`^search ${namespace}\\.svc\\.cluster\\.local svc\\.cluster\\.local cluster\\.local`),
      ),
      'nameserver 10.96.0.10',
      'options ndots:5',
    ]),
  );
});

test('a Service has its cluster address, by full and by short names', async () => {
  const address = await ask('-n', namespace, 'get', 'service', 'web', '-o', 'jsonpath={.spec.clusterIP}');
  await expectAnswer(`web.${zone}`, [address]);
  // The search list is the resolver's own business: wget uses it as programs do.
  for (const name of ['web', `web.${namespace}`, `web.${namespace}.svc`, `web.${zone}.`])
    expect(await fetchInPod(`http://${name}/`)).toMatch(/^Hello from db-/);
});

test('a headless Service has the addresses of its pods, on both nodes', async () => {
  await expectAnswer(`db.${zone}`, await addressesOf('app=db'));
});

test('a pod of a headless Service has a name of its own', async () => {
  const address = await ask('-n', namespace, 'get', 'pod', 'db-1', '-o', 'jsonpath={.status.podIP}');
  await expectAnswer(`db-1.db.${zone}`, [address]);
  expect(await fetchInPod('http://db-1.db:8080/')).toMatch(/^Hello from db-1/);
});

test('an address has a name, and a pod record has its address', async () => {
  const address = await ask('-n', namespace, 'get', 'pod', 'db-0', '-o', 'jsonpath={.status.podIP}');
  await eventually(async () => expect(await inPod('nslookup', address)).toContain(`db-0.db.${zone}`));
  await expectAnswer(`${address.replaceAll('.', '-')}.${namespace}.pod.cluster.local`, [address]);
});

test('an ExternalName is an alias that leads to the address', async () => {
  await eventually(async () => {
    const answer = await inPod('nslookup', '-type=A', `alias.${zone}`);
    expect(answer).toContain(`alias.${zone}\tcanonical name = web.${zone}`);
  });
  const address = await ask('-n', namespace, 'get', 'service', 'web', '-o', 'jsonpath={.spec.clusterIP}');
  await expectAnswer(`alias.${zone}`, [address]);
});

test('the port of a Service is in its SRV record', async () => {
  await eventually(async () => {
    const answer = await inPod('nslookup', '-type=SRV', `_http._tcp.web.${zone}`);
    expect(answer).toMatch(/service = 0 100 80 web\.names\.svc/);
  });
});

test('a name that is not there is said not to be there', async () => {
  const command = ['-n', namespace, 'exec', 'client', '--', 'nslookup', `nothing.${zone}`];
  await eventually(async () => {
    const { code, stdout } = await kubectl(command, { anyCode: true });
    expect(code).not.toBe(0);
    expect(stdout).toContain('NXDOMAIN');
  });
});

test('a pod that is deleted leaves the answers, and one that is created enters them', async () => {
  await kubectl(['-n', namespace, 'delete', 'pod', 'db-1', '--timeout=120s']);
  await expectAnswer(`db.${zone}`, [expect.any(String)]);
  await apply(pod('db-1', 'hostname: db-1\n  subdomain: db', 'worker-2'), '-n', namespace);
  await expectAnswer(`db.${zone}`, [expect.any(String), expect.any(String)]);
  const fresh = JSON.parse(await ask('-n', namespace, 'get', 'pod', 'db-1', '-o', 'json')) as Pod;
  await expectAnswer(`db-1.db.${zone}`, [fresh.status?.podIP]);
});

test('kill -9 of one DNS process does not stop names from being resolved', async () => {
  const before = await dnsProcesses();
  const [victim] = before;
  process.kill(victim?.pid as number, 'SIGKILL');
  // Resolvers ask again when a datagram is refused or lost: no lookup may fail for good.
  for (let i = 0; i < 10; i++) await expectAnswer(`web.${zone}`, [expect.any(String)]);
  await eventually(
    async () => {
      const after = await dnsProcesses();
      expect(after.map(({ health }) => health)).toEqual(before.map(() => 'ok'));
      expect(after[0]?.pid).not.toBe(victim?.pid);
    },
    90_000,
    200,
  );
  // One that was away for long has become an endpoint anew, which the nodes hear of when they do.
  await eventually(async () => {
    for (let i = 0; i < 20; i++) expect(await lookup(`web.${zone}`)).toHaveLength(1);
  });
});
