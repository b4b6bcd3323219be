import { apiVersionOf, definitions } from '@naru/api';
import { decodeProtobuf } from './decode-protobuf';

type Part = number | string | Buffer | Part[];

/** `field(2, "text")`, `field(3, 7)`, `field(4, [...])`: enough of an encoder to say what is on the wire. */
function field(number: number, value: Part): Buffer {
  if (typeof value === 'number') return Buffer.concat([varint(number * 8), varint(value)]);
  const bytes = Array.isArray(value)
    ? Buffer.concat(value as Buffer[])
    : typeof value === 'string'
      ? Buffer.from(value)
      : value;
  return Buffer.concat([varint(number * 8 + 2), varint(bytes.length), bytes]);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  while (rest > 127n) {
    bytes.push(Number(rest & 127n) | 128);
    rest >>= 7n;
  }
  return Buffer.from([...bytes, Number(rest)]);
}

const envelope = (apiVersion: string, kind: string, ...raw: Buffer[]) =>
  Buffer.concat([Buffer.from('k8s\0'), field(1, [field(1, apiVersion), field(2, kind)]), field(2, raw)]);

test('maps, bytes and times come out as in JSON, and zero values only where they mean something', () => {
  const metadata = field(1, [
    field(1, 'm'),
    field(2, ''),
    field(8, [field(1, 1_700_000_000)]),
    field(11, [field(1, 'a'), field(2, 'b')]),
  ]);
  const message = envelope(
    'v1',
    'ConfigMap',
    metadata,
    field(2, [field(1, 'key'), field(2, 'value')]),
    field(3, [field(1, 'raw'), field(2, Buffer.from([1, 2, 255]))]),
    field(4, 0),
  );
  expect(decodeProtobuf(message)).toEqual({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'm', creationTimestamp: '2023-11-14T22:13:20Z', labels: { a: 'b' } },
    data: { key: 'value' },
    binaryData: { raw: 'AQL/' },
    immutable: false,
  });
});

test('messages that lie inside their parent in JSON are put there; quantities, ports and lists keep their form', () => {
  const probe = field(10, [
    field(1, [field(2, [field(1, '/ready'), field(2, [field(1, 1), field(2, 0), field(3, 'http')])])]),
    field(2, 0),
    field(4, 5),
  ]);
  const container = field(2, [
    field(1, 'c'),
    field(6, [field(2, 0), field(3, 8080)]),
    field(8, [field(2, [field(1, 'cpu'), field(2, [field(1, '100m')])])]),
    probe,
  ]);
  const volume = field(1, [field(1, 'v'), field(2, [field(2, [])])]);
  const spec = field(2, [volume, container, field(4, 0), field(11, 0)]);
  expect(decodeProtobuf(envelope('v1', 'Pod', spec))).toMatchObject({
    spec: {
      volumes: [{ name: 'v', emptyDir: {} }],
      terminationGracePeriodSeconds: 0,
      containers: [
        {
          name: 'c',
          ports: [{ containerPort: 8080 }],
          resources: { requests: { cpu: '100m' } },
          livenessProbe: { httpGet: { path: '/ready', port: 'http' }, periodSeconds: 5 },
        },
      ],
    },
  });
});

test('options travel under any group', () => {
  const options = envelope('apps/v1', 'DeleteOptions', field(1, 0), field(4, 'Background'));
  expect(decodeProtobuf(options)).toMatchObject({ gracePeriodSeconds: 0, propagationPolicy: 'Background' });
});

// kubectl, client-go's apiextensions client and upstream's controllers send them as JSON.
const jsonOnly = ['CustomResourceDefinition'];
const kinds = definitions
  .filter(d => !jsonOnly.includes(d.type.kind))
  .map(d => [d.type.kind, apiVersionOf(d.type)] as const);

test.each(kinds)('%s of %s is read with what it is called', (kind, apiVersion) => {
  const metadata = field(1, [field(1, 'x')]);
  expect(decodeProtobuf(envelope(apiVersion, kind, metadata))).toEqual({ apiVersion, kind, metadata: { name: 'x' } });
});

test('the rules of a webhook lie beside its operations', () => {
  const rule = field(3, [
    field(1, 'CREATE'),
    field(2, [field(1, ''), field(2, 'v1'), field(3, 'pods'), field(4, '*')]),
  ]);
  const clientConfig = field(2, [field(1, [field(1, 'ns'), field(2, 'hook'), field(4, 8443)])]);
  const webhook = field(2, [field(1, 'deny.example.com'), clientConfig, rule, field(7, 5), field(8, 'v1')]);
  const sent = envelope('admissionregistration.k8s.io/v1', 'ValidatingWebhookConfiguration', webhook);
  expect(decodeProtobuf(sent)).toMatchObject({
    webhooks: [
      {
        name: 'deny.example.com',
        clientConfig: { service: { namespace: 'ns', name: 'hook', port: 8443 } },
        rules: [{ operations: ['CREATE'], apiGroups: [''], apiVersions: ['v1'], resources: ['pods'], scope: '*' }],
        timeoutSeconds: 5,
        admissionReviewVersions: ['v1'],
      },
    ],
  });
});

test('a packed list comes out whole, however long', () => {
  const groups = field(2, [field(14, [field(4, Buffer.alloc(200_000, Buffer.of(0xac, 0x02)))])]);
  const { spec } = decodeProtobuf(envelope('v1', 'Pod', groups)) as {
    spec: { securityContext: { supplementalGroups: number[] } };
  };
  expect(spec.securityContext.supplementalGroups).toHaveLength(100_000);
  expect(new Set(spec.securityContext.supplementalGroups)).toEqual(new Set([300]));
});

test('negative numbers come out negative', () => {
  expect(decodeProtobuf(envelope('scheduling.k8s.io/v1', 'PriorityClass', field(2, -5)))).toMatchObject({ value: -5 });
});

test.each([
  ['without the magic', Buffer.from('hello')],
  ['cut short', envelope('v1', 'ConfigMap', field(1, [field(1, 'm')])).subarray(0, 20)],
  ['of an unknown kind', envelope('v1', 'Nonsense')],
  ['with a length beyond the end', Buffer.concat([Buffer.from('k8s\0'), Buffer.from([0x0a, 0x7f])])],
  ['with a number where text belongs', envelope('v1', 'Pod', field(1, [field(1, 5)]))],
  ['with text where a number belongs', envelope('v1', 'Pod', field(2, [field(4, 'x')]))],
  [
    'with a packed list that is cut short',
    envelope('v1', 'Pod', field(2, [field(14, [field(4, Buffer.of(1, 0x81))])])),
  ],
  ['with a field of no number', envelope('v1', 'Pod', Buffer.of(0, 0))],
  ['with an endless varint', Buffer.concat([Buffer.from('k8s\0'), Buffer.alloc(20, 0xff)])],
])('a body %s is a bad request', (_what, bytes) => {
  expect(() => decodeProtobuf(bytes)).toThrow(expect.objectContaining({ reason: 'BadRequest' }));
});
