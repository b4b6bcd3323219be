import { decode } from 'dns-packet';
import { silentLogger } from '@naru/foundation';
import { Handler } from '../server/handler';
import type { Resolver } from '../server/resolver';
import { query } from '../testing/ask';
import { encodeAnswer, type ResourceRecord } from './answer';
import { label } from './name';
import { readAnswer } from './read-answer';

/** Mulberry32: the same packets each time, so that a failure can be looked at. */
function randomFrom(seed: number): (below: number) => number {
  return below => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

const below = randomFrom(20_000);
const rounds = 20_000;

const valid = [
  query('web.shop.svc.cluster.local', 'A'),
  query('_http._tcp.web.shop.svc.cluster.local', 'SRV', { udpSize: 1232 }),
  query('a'.repeat(63) + '.example.com', 'TXT', { udpSize: 65535 }),
];

function mutate(packet: Buffer): Buffer {
  const changed = Buffer.from(packet);
  for (let n = below(6); n >= 0; n--) changed[below(changed.length)] = below(256);
  if (below(4) === 0) return changed.subarray(0, below(changed.length + 1));
  if (below(8) === 0) return Buffer.concat([changed, Buffer.from(Array.from({ length: below(40) }, () => below(256)))]);
  return changed;
}

function noise(): Buffer {
  return Buffer.from(Array.from({ length: below(300) }, () => below(256)));
}

const records: ResourceRecord[] = [
  { name: `${label('web')}${label('shop')}\0`, type: 1, ttl: 30, data: Buffer.of(10, 0, 0, 1) },
  {
    name: `${label('x')}${label('shop')}\0`,
    type: 5,
    ttl: 30,
    data: Buffer.from(`${label('web')}${label('shop')}\0`, 'latin1'),
  },
];

test('whatever comes in, the handler does not throw, and what it says can be read', () => {
  const resolver = {
    resolve: ({ name }: { name: string }) => ({
      answer: encodeAnswer(name, {
        rcode: 0,
        authoritative: true,
        answers: records,
        authority: [],
        additional: records,
      }),
      age: below(40),
      source: 'kubernetes',
    }),
  } as unknown as Resolver;
  const handler = new Handler({ resolver, logger: silentLogger, maxWaiting: 10, observe: () => undefined });
  let replies = 0;
  // Not an `expect` each: they would take most of the time.
  const wrong: string[] = [];
  const isReadable = (reply: Buffer): boolean => {
    try {
      return decode(reply) !== undefined;
    } catch {
      return false;
    }
  };
  for (let i = 0; i < rounds; i++) {
    const packet = i % 4 === 0 ? noise() : mutate(valid[i % valid.length] as Buffer);
    const protocol = i % 2 === 0 ? 'udp' : 'tcp';
    handler.handle(packet, { protocol, family: '1' }, reply => {
      replies++;
      const hasId = reply.readUInt16BE(0) === packet.readUInt16BE(0);
      const isReply = ((reply[2] as number) & 0x80) === 0x80;
      const fits = protocol === 'tcp' || reply.length <= 1232;
      const canBeRead = (reply[3] as number) % 16 !== 0 || isReadable(reply);
      if (!hasId || !isReply || !fits || !canBeRead) wrong.push(`${packet.toString('hex')}: ${reply.toString('hex')}`);
    });
  }
  expect(wrong).toEqual([]);
  expect(handler.panics).toBe(0);
  expect(replies).toBeGreaterThan(rounds / 4);
});

test('answers of upstreams that are broken are not believed, and do no harm', () => {
  const question = Buffer.from(`${label('web')}${label('shop')}\0\0\x01\0\x01`, 'latin1');
  const header = Buffer.from('12348180000100020000000000', 'hex').subarray(0, 12);
  const encoded = encodeAnswer(question.subarray(0, -4).toString('latin1'), {
    rcode: 0,
    authoritative: false,
    answers: records,
    authority: [],
    additional: [],
  });
  const answer = Buffer.concat([header, question, encoded.bytes]);
  expect(readAnswer(answer)?.answers).toEqual(records);
  for (let i = 0; i < rounds; i++) {
    const read = readAnswer(i % 4 === 0 ? noise() : mutate(answer));
    if (read) encodeAnswer(read.name, read);
  }
});

test('a pointer that leads to itself ends', () => {
  const loop = Buffer.from('12348180000100010000000001610000010001c01300050001000000ff0002c013', 'hex');
  expect(readAnswer(loop)).toBeUndefined();
});

/** An answer about `x.` whose first record is data without a meaning, and whose others are named by the pointer at its end. */
function withPointersTo(data: Buffer, target: number, others: number): Buffer {
  const head = Buffer.from('123481800001000000000000' + '017800' + '00010001', 'hex');
  head.writeUInt16BE(others + 1, 6);
  const first = Buffer.from('017800' + '00100001' + '00000000' + '0000', 'hex');
  first.writeUInt16BE(data.length, first.length - 2);
  const record = Buffer.from('0000' + '00010001' + '00000000' + '0004' + '0a000001', 'hex');
  record.writeUInt16BE(0xc000 | target, 0);
  return Buffer.concat([head, first, data, ...Array.from({ length: others }, () => record)]);
}

/** Where the data of its first record begins, and where its question has its name. */
const [bombAt, questionAt] = [32, 12];

test('a bomb of pointers ends: each of many names is a long chain of them', () => {
  const hops = 6_000;
  const chain = Buffer.alloc(2 * hops);
  for (let hop = 0; hop < hops; hop++) {
    chain.writeUInt16BE(0xc000 | (hop === 0 ? questionAt : bombAt + 2 * (hop - 1)), 2 * hop);
  }
  const answers = readAnswer(withPointersTo(chain, bombAt + 2 * (hops - 1), 2_000))?.answers ?? [];
  expect(answers).toHaveLength(2_001);
  expect(new Set(answers.map(({ name }) => name))).toEqual(new Set([`${label('x')}\0`]));
});

test.each([
  [3, 'is read'],
  [4, 'is not'],
])('a bomb of labels, %i of the longest and a pointer, %s: names have 255 bytes at most', (labels, verdict) => {
  const data = Buffer.concat([
    ...Array.from({ length: labels }, () => Buffer.from(label('a'.repeat(63)), 'latin1')),
    Buffer.of(0xc0, questionAt),
  ]);
  const answer = readAnswer(withPointersTo(data, bombAt, 1));
  expect(answer?.answers[1]?.name.length).toBe(verdict === 'is read' ? labels * 64 + 3 : undefined);
});
