import { encodeOpenApiV2 } from './openapi-protobuf';

/** Fields of a message as [number, nested bytes or varint]. */
function fields(bytes: Uint8Array): [number, Uint8Array | number][] {
  const found: [number, Uint8Array | number][] = [];
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let shift = 1; ; shift *= 128) {
      const byte = bytes[at++] ?? 0;
      value += (byte & 0x7f) * shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < bytes.length) {
    const tag = varint();
    if (tag % 8 === 0) found.push([Math.floor(tag / 8), varint()]);
    else {
      const length = varint();
      found.push([Math.floor(tag / 8), bytes.subarray(at, (at += length))]);
    }
  }
  return found;
}

/** Follows field numbers down, the first of each. */
function at(bytes: Uint8Array, ...path: number[]): string {
  let here: Uint8Array | number = bytes;
  for (const number of path) here = fields(here as Uint8Array).find(([n]) => n === number)?.[1] ?? new Uint8Array();
  return typeof here === 'number' ? String(here) : Buffer.from(here).toString();
}

const kind = [{ group: '', kind: 'Pod', version: 'v1' }];
const document = encodeOpenApiV2({
  swagger: '2.0',
  info: { title: 'Kubernetes', version: 'v1' },
  paths: {
    '/api/v1/pods/{name}': {
      parameters: [{ name: 'name', in: 'path', type: 'string', uniqueItems: true, required: true }],
      get: {
        parameters: [{ name: 'watch', in: 'query', type: 'boolean' }],
        responses: { '200': { description: 'OK', schema: { $ref: '#/definitions/Pod' } } },
        'x-kubernetes-action': 'get',
      },
    },
  },
  definitions: {
    Pod: {
      type: 'object',
      description: 'x'.repeat(300),
      required: ['spec'],
      properties: { spec: { type: 'array', items: { $ref: '#/definitions/Spec' } } },
      additionalProperties: { type: 'string' },
      'x-kubernetes-group-version-kind': kind,
    },
  },
});

test('an OpenAPI v2 document is written with the field numbers of gnostic', () => {
  expect(at(document, 1)).toBe('2.0');
  expect(at(document, 2, 1)).toBe('Kubernetes');
  const path = [8, 2];
  expect(at(document, ...path, 1)).toBe('/api/v1/pods/{name}');
  // PathItem.parameters → Parameter → NonBodyParameter → PathParameterSubSchema.name
  expect(at(document, ...path, 2, 9, 1, 2, 4, 4)).toBe('name');
  expect(at(document, ...path, 2, 9, 1, 2, 4, 19)).toBe('1');
  // Operation.parameters → QueryParameterSubSchema.type; responses → Response → SchemaItem → Schema.$ref
  expect(at(document, ...path, 2, 2, 8, 1, 2, 3, 6)).toBe('boolean');
  expect(at(document, ...path, 2, 2, 9, 1, 2, 1, 2, 1, 1)).toBe('#/definitions/Pod');
  expect(at(document, ...path, 2, 2, 13, 2, 2)).toBe('"get"\n');
});

test('schemas keep their structure and extensions', () => {
  const pod = [9, 1, 2];
  expect(at(document, 9, 1, 1)).toBe('Pod');
  expect(at(document, ...pod, 22, 1)).toBe('object');
  expect(at(document, ...pod, 4)).toHaveLength(300);
  expect(at(document, ...pod, 19)).toBe('spec');
  expect(at(document, ...pod, 25, 1, 2, 23, 1, 1)).toBe('#/definitions/Spec');
  expect(at(document, ...pod, 21, 1, 22, 1)).toBe('string');
  expect(at(document, ...pod, 31, 1)).toBe('x-kubernetes-group-version-kind');
  expect(JSON.parse(at(document, ...pod, 31, 2, 2))).toEqual(kind);
});
