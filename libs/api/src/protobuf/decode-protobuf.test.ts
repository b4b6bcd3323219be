import { decodeObject } from '../decode/decode-object';
import { configMaps, deployments, pods, secrets } from '../resource';
import { isProtobuf } from './decode-protobuf';

/** A protobuf writer for tests: a field is its number and a number, a text, bytes or a message. */
type Field = [number: number, value: number | string | Uint8Array | Field[]];

function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  do {
    bytes.push(Number(rest & 0x7fn) | (rest > 0x7fn ? 0x80 : 0));
    rest >>= 7n;
  } while (rest > 0n);
  return bytes;
}

function message(fields: Field[]): Uint8Array {
  const bytes: number[] = [];
  for (const [number, value] of fields) {
    if (typeof value === 'number') {
      bytes.push(...varint(number << 3), ...varint(value));
      continue;
    }
    const chunk = typeof value === 'string' ? Buffer.from(value) : value instanceof Uint8Array ? value : message(value);
    bytes.push(...varint((number << 3) | 2), ...varint(chunk.length), ...chunk);
  }
  return Uint8Array.from(bytes);
}

function body(apiVersion: string, kind: string, fields: Field[]): Uint8Array {
  const typeMeta: Field[] = [
    [1, apiVersion],
    [2, kind],
  ];
  const envelope = message([
    [1, typeMeta],
    [2, message(fields)],
    [3, ''],
    [4, ''],
  ]);
  return Buffer.concat([Buffer.from('k8s\0'), envelope]);
}

const meta: Field = [
  1,
  [
    [1, 'x'],
    [2, ''],
    [7, 0],
    [8, new Uint8Array()],
    [
      11,
      [
        [1, 'app'],
        [2, 'web'],
      ],
    ],
  ],
];

describe('decodeObject of protobuf', () => {
  test('reads maps, and bytes as base64', () => {
    const configMap = body('v1', 'ConfigMap', [
      meta,
      [
        2,
        [
          [1, 'k'],
          [2, 'v'],
        ],
      ],
      [2, [[1, 'e']]],
    ]);
    expect(isProtobuf(configMap)).toBe(true);
    expect(decodeObject(configMap, { type: configMaps }).object).toEqual({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'x', labels: { app: 'web' } },
      data: { k: 'v', e: '' },
    });
    const secret = body('v1', 'Secret', [
      meta,
      [
        2,
        [
          [1, 'k'],
          [2, Buffer.from('hi')],
        ],
      ],
      [3, 'Opaque'],
    ]);
    expect(decodeObject(secret, { type: secrets }).object).toMatchObject({ data: { k: 'aGk=' }, type: 'Opaque' });
  });

  test('keeps a zero that stands in a pointer and drops the others', () => {
    const deployment = body('apps/v1', 'Deployment', [
      meta,
      [
        2,
        [
          [1, 0],
          [5, 0],
          [7, 0],
          [
            4,
            [
              [1, 'RollingUpdate'],
              [
                2,
                [
                  [
                    1,
                    [
                      [1, 1],
                      [2, 0],
                      [3, '25%'],
                    ],
                  ],
                  [
                    2,
                    [
                      [1, 0],
                      [2, 0],
                    ],
                  ],
                ],
              ],
            ],
          ],
        ],
      ],
    ]);
    expect(decodeObject(deployment, { type: deployments }).object).toMatchObject({
      spec: { replicas: 0, strategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: '25%', maxSurge: 0 } } },
    });
    expect(JSON.stringify(decodeObject(deployment, { type: deployments }).object)).not.toMatch(/minReady|paused/);
  });

  test('reads embedded structs, quantities, negative numbers and repeated numbers', () => {
    const volume: Field[] = [
      [1, 'v'],
      [
        2,
        [
          [
            19,
            [
              [1, [[1, 'cm']]],
              [3, 420],
            ],
          ],
        ],
      ],
    ];
    const container: Field[] = [
      [1, 'c'],
      [2, 'nginx'],
      [
        8,
        [
          [
            2,
            [
              [1, 'cpu'],
              [2, [[1, '1000m']]],
            ],
          ],
        ],
      ],
      [
        10,
        [
          [
            1,
            [
              [
                2,
                [
                  [1, '/ok'],
                  [
                    2,
                    [
                      [1, 0],
                      [2, 80],
                      [3, ''],
                    ],
                  ],
                ],
              ],
            ],
          ],
          [2, 5],
        ],
      ],
    ];
    const pod = body('v1', 'Pod', [
      meta,
      [
        2,
        [
          [1, volume],
          [2, container],
          [25, -5],
          [
            14,
            [
              [4, 7],
              [4, 8],
              [4, Uint8Array.from([9, 10])],
            ],
          ],
        ],
      ],
    ]);
    expect(decodeObject(pod, { type: pods }).object).toMatchObject({
      spec: {
        volumes: [{ name: 'v', configMap: { name: 'cm', defaultMode: 420 } }],
        containers: [
          {
            name: 'c',
            resources: { requests: { cpu: '1' } },
            livenessProbe: { httpGet: { path: '/ok', port: 80 }, initialDelaySeconds: 5 },
          },
        ],
        priority: -5,
        securityContext: { supplementalGroups: [7, 8, 9, 10] },
      },
    });
  });

  test('refuses what is cut off, of another kind, or without a wire format', () => {
    const good = body('v1', 'ConfigMap', [meta]);
    expect(() => decodeObject(good.subarray(0, -9), { type: configMaps })).toThrow(/unexpected EOF/);
    expect(() => decodeObject(good, { type: pods })).toThrow('ConfigMap in version "v1" cannot be handled as a Pod');
    const type = { ...pods, group: 'example.com', kind: 'Thing' };
    expect(() => decodeObject(good, { type })).toThrow(expect.objectContaining({ code: 415 }));
  });
});
