import { kindSchema, setKey, type FieldSchema, type TypeSchema, type ValueSchema } from '@naru/api';
import { badRequest } from '../objects/failures';
import { fieldNumbers } from './field-numbers';
import { malformed, WireReader } from './wire-reader';

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
  const envelope = new WireReader(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), magic.length);
  let apiVersion = '';
  let kind = '';
  let raw: WireReader | undefined;
  while (envelope.next()) {
    if (envelope.number === 2 && envelope.hasBytes) raw = envelope.inner();
    if (envelope.number !== 1) continue;
    const type = envelope.inner();
    while (type.next()) {
      if (type.number === 1) apiVersion = type.text();
      if (type.number === 2) kind = type.text();
    }
  }
  const schema = schemaOf(apiVersion, kind);
  return { apiVersion, kind, ...(raw ? readMessage(schema, schema.name, raw, 0) : {}) };
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

function readMessage(schema: TypeSchema, messageName: string, message: WireReader, depth: number): JsonObject {
  if (depth > maxDepth) throw badRequest('the object is nested too deeply');
  const members = membersOf(messageName);
  const object: JsonObject = {};
  while (message.next()) {
    const member = members.get(message.number);
    if (!member) continue;
    if (member.inline !== undefined) {
      const within = `${messageName.slice(0, messageName.lastIndexOf('.') + 1)}${member.inline}`;
      Object.assign(object, readMessage(schema, within, message.inner(), depth + 1));
      continue;
    }
    const known = schema.fields.get(member.name);
    if (known) assign(object, known, member, message, depth);
  }
  return object;
}

/** `field` stands on the field that is meant. */
function assign(object: JsonObject, known: FieldSchema, member: Member, field: WireReader, depth: number): void {
  const { name, value: schema, required } = known;
  if (schema.code === '[') {
    readItem((object[name] ??= []) as unknown[], schema.of!, field, depth);
    return;
  }
  if (schema.code === '{') {
    readEntry((object[name] ??= {}) as JsonObject, schema.of!, field, depth);
    return;
  }
  const value = readValue(schema, field, depth);
  const isZero = value === undefined || value === '' || value === 0 || value === false;
  if (value !== undefined && (!isZero || member.optional || required)) object[name] = value;
}

/** Numbers may come packed. */
function readItem(list: unknown[], schema: ValueSchema, field: WireReader, depth: number): void {
  if (!field.hasBytes || !'ilb'.includes(schema.code)) list.push(readValue(schema, field, depth));
  else for (const value of field.packed()) list.push(schema.code === 'b' ? value !== 0 : value);
}

function readEntry(map: JsonObject, schema: ValueSchema, field: WireReader, depth: number): void {
  let key = '';
  let value: unknown = schema.code === 's' || schema.code === 'y' ? '' : undefined;
  const entry = field.inner();
  while (entry.next()) {
    if (entry.number === 1) key = entry.text();
    if (entry.number !== 2) continue;
    if (schema.code === '[') {
      // A list in a map is a message that holds the list.
      const list = (value = []);
      for (const items = entry.inner(); items.next();) readItem(list, schema.of!, items, depth);
    } else value = readValue(schema, entry, depth);
  }
  setKey(map, key, value);
}

function readValue(schema: ValueSchema, field: WireReader, depth: number): unknown {
  if (numeric.includes(schema.code) === field.hasBytes) throw malformed();
  switch (schema.code) {
    case 's':
      return field.text();
    case 'b':
      return field.value !== 0;
    case 'i':
    case 'l':
    case 'd':
      return field.value;
    case 'y':
      return field.base64();
    case 't':
    case 'u':
      return readTime(field, schema.code === 'u');
    case 'x':
      return readIntOrString(field);
    case 'q':
      return field.inner().find(1)?.text() ?? '0';
    case '*':
      return readJson(field);
    default:
      return readMessage(schema.type!, schema.type!.name, field.inner(), depth + 1);
  }
}

/** A zero time is an empty message, and absent in JSON. */
function readTime(field: WireReader, micro: boolean): string | undefined {
  if (field.length === 0) return undefined;
  const seconds = field.inner().find(1)?.value ?? 0;
  const nanos = field.inner().find(2)?.value ?? 0;
  const date = new Date(seconds * 1000);
  if (Number.isNaN(date.getTime())) throw malformed();
  const text = date.toISOString().slice(0, 19);
  return micro ? `${text}.${String(Math.floor(nanos / 1000)).padStart(6, '0')}Z` : `${text}Z`;
}

function readIntOrString(field: WireReader): number | string {
  const isText = field.inner().find(1)?.value === 1;
  return isText ? (field.inner().find(3)?.text() ?? '') : (field.inner().find(2)?.value ?? 0);
}

/** RawExtension and its kin hold JSON. */
function readJson(field: WireReader): unknown {
  const raw = field.inner().find(1);
  if (!raw || raw.length === 0) return undefined;
  try {
    return JSON.parse(raw.text());
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
