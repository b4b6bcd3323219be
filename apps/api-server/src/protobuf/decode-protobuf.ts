import { kindSchema, type FieldSchema, type TypeSchema, type ValueSchema } from '@naru/api';
import { badRequest } from '../objects/failures';
import { fieldNumbers } from './field-numbers';
import { malformed, readFields, readPacked, toNumber, toText, type WireField } from './wire-reader';

export const protobufMediaType = 'application/vnd.kubernetes.protobuf';

/** Opens every object: "k8s" and a zero byte. Source: apimachinery runtime/serializer/protobuf. */
const magic = Buffer.from('k8s\0');
const maxDepth = 100;
/** Codes of what is a number on the wire; all else is bytes. */
const numeric = 'bild';

type JsonObject = Record<string, unknown>;

interface Member {
  name: string;
  /** Zero is a value of its own. */
  optional: boolean;
  /** Set when the member is a message whose fields belong to its parent in JSON. */
  inline: string | undefined;
}

let messages: Map<string, Map<number, Member>> | undefined;

/**
 * Turns an object in Kubernetes' protobuf form into what its JSON form would parse to: kubectl and other typed clients
 * send it in what they create. Answers are always JSON, which those clients accept.
 * @throws StatusError BadRequest
 */
export function decodeProtobuf(bytes: Uint8Array): JsonObject {
  if (Buffer.compare(bytes.subarray(0, magic.length), magic) !== 0) throw malformed();
  let apiVersion = '';
  let kind = '';
  let raw: Uint8Array = new Uint8Array();
  for (const { number, bytes: content } of readFields(bytes.subarray(magic.length))) {
    if (!content) continue;
    if (number === 2) raw = content;
    if (number !== 1) continue;
    for (const field of readFields(content)) {
      if (field.number === 1) apiVersion = toText(field.bytes);
      if (field.number === 2) kind = toText(field.bytes);
    }
  }
  const schema = schemaOf(apiVersion, kind);
  return { apiVersion, kind, ...readMessage(schema, schema.name, raw, 0) };
}

function schemaOf(apiVersion: string, kind: string): TypeSchema {
  const slash = apiVersion.indexOf('/');
  const group = slash < 0 ? '' : apiVersion.slice(0, slash);
  // Options travel under the group of whatever they are for.
  const schema =
    kind === 'DeleteOptions' ? kindSchema('meta', 'v1', kind) : kindSchema(group, apiVersion.slice(slash + 1), kind);
  if (!schema) throw badRequest(`no kind "${kind}" is registered for version "${apiVersion}"`);
  return schema;
}

function readMessage(schema: TypeSchema, messageName: string, bytes: Uint8Array, depth: number): JsonObject {
  if (depth > maxDepth) throw badRequest('the object is nested too deeply');
  const members = membersOf(messageName);
  const object: JsonObject = {};
  for (const field of readFields(bytes)) {
    const member = members.get(field.number);
    if (!member) continue;
    if (member.inline !== undefined) {
      const within = `${messageName.slice(0, messageName.lastIndexOf('.') + 1)}${member.inline}`;
      Object.assign(object, readMessage(schema, within, field.bytes ?? new Uint8Array(), depth + 1));
      continue;
    }
    const known = schema.fields.get(member.name);
    if (known) assign(object, known, member, field, depth);
  }
  return object;
}

function assign(object: JsonObject, known: FieldSchema, member: Member, field: WireField, depth: number): void {
  const { name, value: schema, required } = known;
  if (schema.code === '[') {
    const list = (object[name] ??= []) as unknown[];
    for (const item of readItems(schema.of!, field, depth)) list.push(item);
    return;
  }
  if (schema.code === '{') {
    const [key, value] = readEntry(schema.of!, field, depth);
    Object.defineProperty((object[name] ??= {}), key, { value, enumerable: true, configurable: true, writable: true });
    return;
  }
  const value = readValue(schema, field, depth);
  const isZero = value === undefined || value === '' || value === 0 || value === false;
  if (value !== undefined && (!isZero || member.optional || required)) object[name] = value;
}

/** Numbers may come packed. */
function readItems(schema: ValueSchema, field: WireField, depth: number): unknown[] {
  if (!'ilb'.includes(schema.code) || !field.bytes) return [readValue(schema, field, depth)];
  const { number } = field;
  return Array.from(readPacked(field.bytes), value => readValue(schema, { number, value, bytes: undefined }, depth));
}

function readEntry(schema: ValueSchema, field: WireField, depth: number): [string, unknown] {
  let key = '';
  let value: unknown = schema.code === 's' || schema.code === 'y' ? '' : undefined;
  for (const part of readFields(field.bytes ?? new Uint8Array())) {
    if (part.number === 1) key = toText(part.bytes);
    if (part.number !== 2) continue;
    // A list in a map is a message that holds the list.
    if (schema.code === '[')
      value = [...readFields(part.bytes ?? new Uint8Array())].flatMap(item => readItems(schema.of!, item, depth));
    else value = readValue(schema, part, depth);
  }
  return [key, value];
}

function readValue(schema: ValueSchema, field: WireField, depth: number): unknown {
  if (numeric.includes(schema.code) === (field.bytes !== undefined)) throw malformed();
  switch (schema.code) {
    case 's':
      return toText(field.bytes);
    case 'b':
      return field.value !== 0n;
    case 'i':
    case 'l':
      return toNumber(field.value);
    case 'd':
      return readDouble(field.value);
    case 'y':
      return Buffer.from(field.bytes ?? []).toString('base64');
    case 't':
    case 'u':
      return readTime(field, schema.code === 'u');
    case 'x':
      return readIntOrString(field);
    case 'q':
      return readOnly(field, 1)?.bytes ? toText(readOnly(field, 1)!.bytes) : '0';
    case '*':
      return readJson(field);
    default:
      return readMessage(schema.type!, schema.type!.name, field.bytes ?? new Uint8Array(), depth + 1);
  }
}

function readOnly({ bytes }: WireField, number: number): WireField | undefined {
  return [...readFields(bytes ?? new Uint8Array())].find(field => field.number === number);
}

function readDouble(bits: bigint): number {
  const buffer = Buffer.alloc(8);
  buffer.writeBigUInt64LE(bits);
  return buffer.readDoubleLE();
}

/** A zero time is an empty message, and absent in JSON. */
function readTime(field: WireField, micro: boolean): string | undefined {
  if (!field.bytes || field.bytes.length === 0) return undefined;
  const seconds = toNumber(readOnly(field, 1)?.value ?? 0n);
  const nanos = toNumber(readOnly(field, 2)?.value ?? 0n);
  const date = new Date(seconds * 1000);
  if (Number.isNaN(date.getTime())) throw malformed();
  const text = date.toISOString().slice(0, 19);
  return micro ? `${text}.${String(Math.floor(nanos / 1000)).padStart(6, '0')}Z` : `${text}Z`;
}

function readIntOrString(field: WireField): number | string {
  const isText = (readOnly(field, 1)?.value ?? 0n) === 1n;
  if (!isText) return toNumber(readOnly(field, 2)?.value ?? 0n);
  const text = readOnly(field, 3);
  return text ? toText(text.bytes) : '';
}

/** RawExtension and its kin hold JSON. */
function readJson(field: WireField): unknown {
  const raw = readOnly(field, 1)?.bytes;
  if (!raw || raw.length === 0) return undefined;
  try {
    return JSON.parse(toText(raw));
  } catch (cause) {
    throw badRequest('the object provided holds raw content that is not JSON', cause);
  }
}

/** By the full name of the message. */
const membersByName = new Map<string, Map<number, Member>>();

function membersOf(messageName: string): Map<number, Member> {
  const known = membersByName.get(messageName);
  if (known) return known;
  messages ??= parseTable();
  const name = messageName.replace(/^io\.k8s\.(?:api|[\w-]+\.pkg\.apis)\./, '');
  const members = messages.get(name);
  if (!members) throw badRequest(`objects with a ${name} are accepted in JSON only`);
  membersByName.set(messageName, members);
  return members;
}

function parseTable(): Map<string, Map<number, Member>> {
  const table = new Map<string, Map<number, Member>>();
  for (const line of fieldNumbers.trim().split('\n')) {
    const [name = '', words = ''] = line.split(': ');
    const members = new Map<number, Member>();
    let next = 1;
    for (const word of words.split(' ')) {
      const jump = /^(\d+)=(.*)$/.exec(word);
      if (jump) next = Number(jump[1]);
      const text = jump ? jump[2]! : word;
      if (text !== '.' && text !== '') {
        const inline = text.startsWith('<') ? text.slice(1) : undefined;
        members.set(next, { name: text.replace(/\?$/, ''), optional: text.endsWith('?'), inline });
      }
      next++;
    }
    table.set(name, members);
  }
  return table;
}
