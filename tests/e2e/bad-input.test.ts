import { eventually } from '@naru/testing';
import { apply, ask, kubectl } from './cluster';

const deployment = (change: string): string => `
apiVersion: apps/v1
kind: Deployment
metadata: { name: broken }
spec:
  replicas: 1
  selector: { matchLabels: { app: broken } }
  template:
    metadata: { labels: { app: broken } }
    spec:
      containers:
      - name: main
        image: naru.dev/web:v1
${change}
`;

async function refusal(manifest: string): Promise<string> {
  const { code, stderr } = await kubectl(['apply', '-f', '-'], { input: manifest, anyCode: true });
  expect(code).not.toBe(0);
  return stderr;
}

test.each([
  [
    'a field that does not exist',
    deployment('        imagee: x'),
    /unknown field "spec.template.spec.containers\[0\].imagee"/,
  ],
  [
    'a value out of range',
    deployment('        ports: [{ containerPort: 99999 }]'),
    /spec.template.spec.containers\[0\].ports\[0\].containerPort: Invalid value: 99999/,
  ],
  [
    'a bad name',
    'apiVersion: v1\nkind: ConfigMap\nmetadata: { name: Not_Valid }',
    /metadata.name: Invalid value: "Not_Valid"/,
  ],
  [
    'a kind that does not exist',
    'apiVersion: v1\nkind: Nonsense\nmetadata: { name: x }',
    /no matches for kind "Nonsense"/,
  ],
])('%s is refused with the field named', async (_, manifest, message) => {
  expect(await refusal(manifest)).toMatch(message);
});

test('a selector that does not match the template is refused', async () => {
  const manifest = deployment('').replace('matchLabels: { app: broken }', 'matchLabels: { app: other }');
  expect(await refusal(manifest)).toMatch(
    /spec.template.metadata.labels: Invalid value.*`selector` does not match template `labels`/,
  );
});

test('an image that cannot be pulled gives ImagePullBackOff with the reason', async () => {
  await apply(`
apiVersion: v1
kind: Pod
metadata: { name: no-image }
spec:
  containers: [{ name: main, image: '127.0.0.1:1/no/such:image' }]
`);
  try {
    const waiting = '{.status.containerStatuses[0].state.waiting}';
    await eventually(
      async () =>
        expect(JSON.parse(await ask('get', 'pod', 'no-image', '-o', `jsonpath=${waiting}`))).toEqual({
          reason: 'ImagePullBackOff',
          message: expect.stringContaining('127.0.0.1:1/no/such:image'),
        }),
      90_000,
      200,
    );
    await eventually(
      async () => expect(await ask('describe', 'pod', 'no-image')).toMatch(/Failed to pull image/),
      90_000,
      200,
    );
  } finally {
    await kubectl(['delete', 'pod', 'no-image', '--grace-period=0', '--force']);
  }
});

test('a pod that fits nowhere says why', async () => {
  await apply(`
apiVersion: v1
kind: Pod
metadata: { name: too-big }
spec:
  containers: [{ name: main, image: 'naru.dev/web:v1', resources: { requests: { memory: 100Ti } } }]
`);
  try {
    await eventually(
      async () =>
        expect(await ask('describe', 'pod', 'too-big')).toMatch(/0\/3 nodes are available: 3 Insufficient memory/),
      90_000,
      200,
    );
  } finally {
    await kubectl(['delete', 'pod', 'too-big', '--grace-period=0', '--force']);
  }
});
