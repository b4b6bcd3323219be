import { create, refusals, updateRefusals } from '../testing/refusals';
import { describeFieldError } from '../validation/field-error';
import { apiServiceKind } from './api-service';
import { podKind } from './pod';
import { deviceClassKind, resourceClaimKind, resourceClaimTemplateKind, resourceSliceKind } from './resource-claim';

const metadata = { name: 'c' };
const exactly = { deviceClassName: 'gpu.example.com' };
const claim = (...requests: object[]) => ({ devices: { requests } });

test('a request is for one device, unless it says more', () => {
  const body = { metadata, spec: claim({ name: 'gpu', exactly }) };
  expect(create(resourceClaimKind, body).spec.devices?.requests?.[0]?.exactly).toEqual({
    ...exactly,
    allocationMode: 'ExactCount',
    count: 1,
  });
  expect(refusals(resourceClaimKind, body)).toEqual([]);
  expect(refusals(resourceClaimTemplateKind, { metadata, spec: { spec: body.spec } })).toEqual([]);
  expect(updateRefusals(resourceClaimKind, body, o => (o.spec.devices = {}))).toEqual([
    'spec: Invalid value: {"devices":{}}: field is immutable',
  ]);
});

test.each<[string, object[], string[]]>([
  [
    'two requests of one name',
    [
      { name: 'gpu', exactly },
      { name: 'gpu', exactly },
    ],
    ['spec.devices.requests[1].name: Duplicate value: "gpu"'],
  ],
  [
    'a request for nothing',
    [{ name: 'gpu' }],
    ['spec.devices.requests[0]: Required value: exactly one of `exactly` or `firstAvailable` is required'],
  ],
  [
    'all and a number',
    [{ name: 'gpu', exactly: { ...exactly, allocationMode: 'All', count: 2 } }],
    ["spec.devices.requests[0].exactly.count: Invalid value: 2: must not be specified when allocationMode is 'All'"],
  ],
  [
    'no class',
    [{ name: 'gpu', exactly: { selectors: [{ cel: { expression: '' } }] } }],
    [
      'spec.devices.requests[0].exactly.deviceClassName: Required value',
      'spec.devices.requests[0].exactly.selectors[0].cel.expression: Required value',
    ],
  ],
])('a claim with %s is refused', (_, requests, expected) => {
  expect(refusals(resourceClaimKind, { metadata, spec: claim(...requests) })).toEqual(expected);
});

test('a claim is allocated before it is reserved', () => {
  const old = create(resourceClaimKind, { metadata, spec: claim({ name: 'gpu', exactly }) });
  const next = structuredClone(old);
  next.status = { reservedFor: [{ resource: 'pods', name: 'p', uid: 'u' }] };
  expect(resourceClaimKind.strategy.validateStatusUpdate(next, old)).toMatchObject([
    { type: 'FieldValueForbidden', field: 'status.reservedFor' },
  ]);
  next.status.allocation = {};
  expect(resourceClaimKind.strategy.validateStatusUpdate(next, old)).toEqual([]);
  expect(resourceClaimKind.columns[1]?.cell(next, 0)).toBe('allocated,reserved');
});

test('a class configures devices with objects', () => {
  const opaque = { driver: 'gpu.example.com', parameters: {} };
  expect(refusals(deviceClassKind, { metadata, spec: { config: [{ opaque }] } })).toEqual([]);
  const config = [{ opaque: { ...opaque, parameters: 'text' } }];
  expect(refusals(deviceClassKind, { metadata, spec: { config } })).toEqual([
    'spec.config[0].opaque.parameters: Invalid value: "text": must be a valid JSON object',
  ]);
});

test.each(['example.com/gpu', 'gpu', 'kubernetes.io/gpu', 'requests.example.com/gpu', 'example.com/not good'])(
  'a class provides the extended resource %s only if that is a name of one',
  extendedResourceName => {
    const isName = extendedResourceName === 'example.com/gpu';
    const detail = 'must be a valid extended resource name';
    expect(refusals(deviceClassKind, { metadata, spec: { extendedResourceName } })).toEqual(
      isName ? [] : [`spec.extendedResourceName: Invalid value: "${extendedResourceName}": ${detail}`],
    );
  },
);

test('the status of a pod says which requests of a claim are for which container', () => {
  const resources = { requests: { 'example.com/gpu': '1' }, limits: { 'example.com/gpu': '1' } };
  const old = create(podKind, { metadata, spec: { containers: [{ name: 'main', image: 'i', resources }] } });
  const mapping = { containerName: 'main', resourceName: 'example.com/gpu', requestName: 'container-0-request-0' };
  const refused = (resourceClaimName: string, ...requestMappings: object[]): string[] => {
    const extendedResourceClaimStatus = { requestMappings, resourceClaimName } as never;
    return podKind.strategy
      .validateStatusUpdate({ ...old, status: { ...old.status, extendedResourceClaimStatus } }, old)
      .map(error => `${error.field}: ${describeFieldError(error)}`);
  };
  const at = 'status.extendedResourceClaimStatus';
  expect(refused('c', mapping)).toEqual([]);
  expect(refused('')).toEqual([
    `${at}.requestMappings: Required value: at least one request mapping is required`,
    `${at}.resourceClaimName: Required value`,
  ]);
  expect(refused('c', mapping, mapping).map(text => text.split(': ').slice(0, 2))).toEqual([
    [`${at}.requestMappings[1].containerName`, 'Duplicate value'],
    [`${at}.requestMappings[1].resourceName`, 'Duplicate value'],
    [`${at}.requestMappings[1].requestName`, 'Duplicate value'],
  ]);
  const others = [
    { ...mapping, containerName: 'other' },
    { ...mapping, resourceName: 'example.com/nic' },
  ];
  expect(refused('c', ...others)).toEqual([
    `${at}.requestMappings[0].containerName: Invalid value: "other": must match the name of an entry in spec.initContainers.name or spec.containers.name`,
    `${at}.requestMappings[1].resourceName: Invalid value: "example.com/nic": must match the extended resource name of an entry in spec.initContainers.resources.requests or spec.containers.resources.requests`,
  ]);
});

test('a slice is of one place and keeps its driver', () => {
  const pool = { name: 'p', generation: 1, resourceSliceCount: 1 };
  const spec = { driver: 'gpu.example.com', nodeName: 'n', pool, devices: [{ name: 'd' }] };
  expect(refusals(resourceSliceKind, { metadata, spec })).toEqual([]);
  expect(refusals(resourceSliceKind, { metadata, spec: { ...spec, allNodes: true } })[0]).toContain(
    'exactly one of `nodeName`',
  );
  expect(updateRefusals(resourceSliceKind, { metadata, spec }, o => (o.spec.driver = 'b.example.com'))).toEqual([
    'spec.driver: Invalid value: "b.example.com": field is immutable',
  ]);
  expect(resourceSliceKind.selectableFields(create(resourceSliceKind, { metadata, spec }))).toMatchObject({
    'spec.nodeName': 'n',
    'spec.driver': 'gpu.example.com',
  });
});

test('an APIService is called by its version and group', () => {
  const spec = { group: 'example.com', version: 'v1', groupPriorityMinimum: 100, versionPriority: 10 };
  const service = { namespace: 'default', name: 's' };
  expect(refusals(apiServiceKind, { metadata: { name: 'v1.example.com' }, spec })).toEqual([]);
  expect(create(apiServiceKind, { metadata, spec: { ...spec, service } }).spec?.service?.port).toBe(443);
  expect(refusals(apiServiceKind, { metadata: { name: 'x' }, spec })).toEqual([
    'metadata.name: Invalid value: "x": must be `spec.version+"."+spec.group`: "v1.example.com"',
  ]);
  const both = { ...spec, service, insecureSkipTLSVerify: true, caBundle: 'YQ==' };
  expect(refusals(apiServiceKind, { metadata: { name: 'v1.example.com' }, spec: both })).toEqual([
    'spec.insecureSkipTLSVerify: Forbidden: may not be true if caBundle is present',
  ]);
});
