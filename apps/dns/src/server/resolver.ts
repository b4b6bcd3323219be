import type { Forwarded, Forwarder } from '../forward/forwarder';
import type { Question } from '../forward/question';
import { encodeAnswer, type Answer, type EncodedAnswer, type ResourceRecord } from '../wire/answer';
import { flags, rcodes, types } from '../wire/codes';
import { toLower, type Name } from '../wire/name';
import { readAnswer } from '../wire/read-answer';
import type { Zone } from '../zone/zone';

/** CoreDNS's names of the parts that answer, for metrics. */
export type Source = 'kubernetes' | 'forward' | 'cache';

export interface Resolution {
  answer: EncodedAnswer;
  /** Seconds. */
  age: number;
  source: Source;
}

/** Aliases followed in one answer. */
const maxAliases = 8;
/** Answers of the zone kept in wire form; all are dropped when the cluster changes. */
const maxEncoded = 4_096;

export interface ResolverDeps {
  zone: Zone;
  forwarder: Forwarder;
}

/** Who answers a question: the cluster's zone, or other servers; and aliases from one into the other. */
export class Resolver {
  private encodedVersion = -1;
  private encodedCount = 0;
  /** By type, then by name. */
  private readonly encoded = new Map<number, Map<Name, Resolution>>();

  constructor(private readonly deps: ResolverDeps) {}

  /** The promise never rejects for reasons outside this program. */
  resolve(question: Question): Resolution | Promise<Resolution> {
    const { name, type } = question;
    const known = this.recall(name, type);
    if (known) return known;
    const { zone, forwarder } = this.deps;
    const { version } = zone;
    const found = zone.lookup(name, type);
    if (!found) {
      const forwarded = forwarder.lookup(question);
      return forwarded instanceof Promise ? forwarded.then(toResolution) : toResolution(forwarded);
    }
    if (aliasOf(found, type) !== undefined) return this.followAliases(question, found);
    const resolution: Resolution = { answer: encodeAnswer(name, found), age: 0, source: 'kubernetes' };
    return found.rcode === rcodes.SERVFAIL ? resolution : this.remember(name, type, version, resolution);
  }

  private recall(name: Name, type: number): Resolution | undefined {
    if (this.encodedVersion !== this.deps.zone.version) return undefined;
    return this.encoded.get(type)?.get(name);
  }

  private remember(name: Name, type: number, version: number, resolution: Resolution): Resolution {
    if (this.encodedVersion !== version || this.encodedCount >= maxEncoded) {
      this.encoded.clear();
      this.encodedCount = 0;
      this.encodedVersion = version;
    }
    let ofType = this.encoded.get(type);
    if (!ofType) this.encoded.set(type, (ofType = new Map()));
    ofType.set(name, resolution);
    this.encodedCount++;
    return resolution;
  }

  /** The whole chain in one answer: resolvers in pods do not follow aliases themselves. */
  private async followAliases(question: Question, start: Answer): Promise<Resolution> {
    const { zone, forwarder } = this.deps;
    const seen = new Set([question.name]);
    const chain: ResourceRecord[] = [];
    let answer = start;
    for (;;) {
      chain.push(...answer.answers);
      const target = aliasOf(answer, question.type);
      if (target === undefined) break;
      if (seen.has(target) || seen.size > maxAliases) {
        answer = { ...answer, rcode: rcodes.SERVFAIL, authority: [], additional: [] };
        break;
      }
      seen.add(target);
      const next = { ...question, name: target };
      const inZone = zone.lookup(target, question.type);
      answer = inZone ?? decode(next, await forwarder.lookup(next));
      // Recursive servers follow aliases to the end themselves.
      if (!inZone) {
        chain.push(...answer.answers);
        break;
      }
    }
    const whole = { ...answer, authoritative: true, answers: chain, additional: [] };
    return { answer: encodeAnswer(question.name, whole), age: 0, source: 'kubernetes' };
  }
}

function toResolution({ answer, age, cached }: Forwarded): Resolution {
  return { answer, age, source: cached ? 'cache' : 'forward' };
}

/** The name that an answer of the zone refers to, when that is not what was asked for. */
function aliasOf({ answers }: Answer, type: number): Name | undefined {
  const last = answers.at(-1);
  if (last?.type !== types.CNAME || type === types.CNAME) return undefined;
  return toLower(last.data.toString('latin1'));
}

/** The records of an answer in wire form, with what is left of their time. */
function decode(question: Question, { answer, age }: Forwarded): Answer {
  const head = Buffer.alloc(12 + question.name.length + 4);
  head.writeUInt16BE(flags.response | (answer.rcode & 0xf), 2);
  [1, answer.answers, answer.authority, answer.additional].forEach((count, i) => head.writeUInt16BE(count, 4 + i * 2));
  head.write(question.name, 12, 'latin1');
  head.writeUInt16BE(question.type, head.length - 4);
  head.writeUInt16BE(1, head.length - 2);
  const read = readAnswer(Buffer.concat([head, answer.bytes]));
  if (!read) throw new Error('Cannot read an answer of our own');
  for (const section of [read.answers, read.authority])
    for (const record of section) record.ttl = Math.max(0, record.ttl - age);
  return { ...read, rcode: answer.rcode };
}
