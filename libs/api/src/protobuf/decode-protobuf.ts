import { StatusError } from '@naru/foundation';
import { setKey } from '../decode/decode-value';
import { kindSchema, type TypeSchema, type ValueSchema } from '../schema/types';
import type { ResourceType } from '../resource';
import { fieldOrder } from './field-order';
import { ProtobufError, Reader } from './reader';

type JsonObject = Record<string, unknown>;

/** Every protobuf body of Kubernetes opens with "k8s" and a zero. */
const magic = Buffer.from('k8s\0');

export const protobufMediaType = 'application/vnd.kubernetes.protobuf';

export function isProtobuf(body: Uint8Array): boolean {
  return body.length >= magic.length && magic.every((byte, index) => body[index] === byte);
}

/**
 * The JSON value of a protobuf body: kubectl and client-go send their creates so, and know no other way.
 * Source: apimachinery runtime.Unknown for the envelope. @throws StatusError BadRequest, UnsupportedMediaType
 */
export function decodeProtobuf(body: Uint8Array, type: Pick<ResourceType, 'group' | 'version' | 'kind'>): JsonObject {
  try {
    const envelope = readEnvelope(body.subarray(magic.length));
    const schema = kindSchema(type.group, type.version, type.kind);
    const message = schema && messageOf(schema);
    if (!schema || !message)
      throw new StatusError(
        'UnsupportedMediaType',
        `the body of the request was in an unknown format - accepted media types for ${type.kind} include: application/json, application/yaml`,
      );
    const value = readMessage(envelope.raw, message);
    if (envelope.apiVersion !== '') value['apiVersion'] = envelope.apiVersion;
    if (envelope.kind !== '') value['kind'] = envelope.kind;
    return value;
  } catch (cause) {
    if (!(cause instanceof ProtobufError || cause instanceof SyntaxError)) throw cause;
    throw new StatusError(
      'BadRequest',
      `${type.kind} in version ${JSON.stringify(type.version)} cannot be handled as a ${type.kind}: ${cause.message}`,
      { cause },
    );
  }
}

function readEnvelope(bytes: Uint8Array): { apiVersion: string; kind: string; raw: Uint8Array } {
  const envelope = { apiVersion: '', kind: '', raw: bytes.subarray(0, 0) };
  for (const [number, wireType, reader] of fieldsIn(bytes)) {
    if (number === 1 && wireType === 2) {
      for (const [inner, innerType, typeMeta] of fieldsIn(reader.chunk())) {
        if (inner === 1) envelope.apiVersion = typeMeta.text();
        else if (inner === 2) envelope.kind = typeMeta.text();
        else typeMeta.skip(innerType);
      }
    } else if (number === 2 && wireType === 2) envelope.raw = reader.chunk();
    else reader.skip(wireType);
  }
  return envelope;
}

/** Walks a message; the caller reads or skips each value. */
function* fieldsIn(bytes: Uint8Array): Generator<[number: number, wireType: number, reader: Reader]> {
  const reader = new Reader(bytes);
  while (!reader.done) {
    const tag = reader.varint();
    yield [Math.floor(tag / 8), tag & 7, reader];
  }
}

interface MessageField {
  name: string;
  value: ValueSchema;
  /** Zero is dropped: the sender writes fields that are not pointers whatever they hold. */
  dropsZero: boolean;
}

/** By number: a field, or the embedded struct whose fields are the parent's. */
type Message = (MessageField | Message | undefined)[];

const messages = new Map<string, Message>();
const packageName = /^io\.k8s\.(?:api\.([a-z]+)\.v1|apimachinery\.pkg\.apis\.(meta)\.v1)\./;

function messageOf(type: TypeSchema): Message | undefined {
  const known = messages.get(type.name);
  if (known) return known;
  const match = packageName.exec(type.name);
  const group = match?.[1] ?? match?.[2] ?? '';
  const message = compile(group, type.bareName, type);
  if (message) messages.set(type.name, message);
  return message;
}

function compile(group: string, name: string, type: TypeSchema): Message | undefined {
  const row = fieldOrder[group]?.[name];
  if (row === undefined) return undefined;
  const message: Message = [undefined];
  for (const entry of row.split(' ')) {
    if (entry.startsWith('+')) {
      message.push(compile(group, entry.slice(1), type));
      continue;
    }
    const pointer = entry.endsWith('?');
    const field = type.fields.get(pointer ? entry.slice(0, -1) : entry);
    message.push(field && { name: field.name, value: field.value, dropsZero: !pointer && !field.required });
  }
  return message;
}

function readMessage(bytes: Uint8Array, message: Message, into: JsonObject = {}): JsonObject {
  for (const [number, wireType, reader] of fieldsIn(bytes)) {
    const field = message[number];
    if (field === undefined) reader.skip(wireType);
    else if (Array.isArray(field)) readMessage(reader.chunk(), field, into);
    else readField(reader, wireType, field, into);
  }
  return into;
}

function readField(reader: Reader, wireType: number, field: MessageField, into: JsonObject): void {
  const { name, value } = field;
  if (value.code === '[') {
    const list = (into[name] ??= []) as unknown[];
    readElement(reader, wireType, value.of as ValueSchema, list);
  } else if (value.code === '{') {
    readEntry(reader, value.of as ValueSchema, (into[name] ??= {}) as JsonObject);
  } else {
    const read = readValue(reader, wireType, value);
    // An IntOrString is a pointer nearly everywhere; where it is not, the defaults treat 0 as absent.
    const isZero = value.code !== 'x' && (read === '' || read === 0 || read === false);
    if (read !== undefined && !(isZero && field.dropsZero)) into[name] = read;
  }
}

/** Numbers may come packed into one chunk. */
function readElement(reader: Reader, wireType: number, of: ValueSchema, list: unknown[]): void {
  const numeric = of.code === 'i' || of.code === 'l' || of.code === 'b';
  if (!numeric || wireType !== 2) {
    list.push(readValue(reader, wireType, of));
    return;
  }
  const packed = new Reader(reader.chunk());
  while (!packed.done) list.push(readValue(packed, 0, of));
}

function readEntry(reader: Reader, of: ValueSchema, map: JsonObject): void {
  let key = '';
  let value: unknown = of.code === 's' || of.code === 'y' ? '' : undefined;
  for (const [number, wireType, entry] of fieldsIn(reader.chunk())) {
    if (number === 1) key = entry.text();
    else if (number === 2) value = readValue(entry, wireType, of);
    else entry.skip(wireType);
  }
  setKey(map, key, value ?? null);
}

const wireTypes: Partial<Record<ValueSchema['code'], number>> = { b: 0, i: 0, l: 0, d: 1 };

function readValue(reader: Reader, wireType: number, value: ValueSchema): unknown {
  const expected = wireTypes[value.code] ?? 2;
  if (wireType !== expected) throw new ProtobufError(`proto: wrong wireType = ${wireType}`);
  switch (value.code) {
    case 's':
      return reader.text();
    case 'b':
      return reader.varint() !== 0;
    case 'i':
      return reader.varint() | 0;
    case 'l':
      return reader.varint();
    case 'd':
      return reader.double();
    case 'y':
      return Buffer.from(reader.chunk()).toString('base64');
    case 't':
    case 'u':
      return readTime(reader.chunk(), value.code === 'u');
    case 'q':
      return readNumbered(reader.chunk())[1] ?? '0';
    case 'x': {
      const [, type = 0, number = 0, text = ''] = readNumbered(reader.chunk());
      return type === 0 ? (number as number) | 0 : text;
    }
    case '*': {
      const raw = readNumbered(reader.chunk())[1];
      return typeof raw === 'string' && raw !== '' ? (JSON.parse(raw) as unknown) : undefined;
    }
    case '[':
      return readItems(reader.chunk(), value.of as ValueSchema);
    case '#': {
      const type = value.type as TypeSchema;
      const message = messageOf(type);
      if (!message) throw new ProtobufError(`proto: no wire format for ${type.bareName}`);
      return readMessage(reader.chunk(), message);
    }
    default:
      throw new ProtobufError(`proto: a ${value.code} cannot stand alone`);
  }
}

/** The small types that protobuf wraps in a message: their fields by number. */
function readNumbered(bytes: Uint8Array): (string | number | undefined)[] {
  const fields: (string | number | undefined)[] = [];
  for (const [number, wireType, reader] of fieldsIn(bytes)) {
    if (number > 3 || (wireType !== 0 && wireType !== 2)) reader.skip(wireType);
    else fields[number] = wireType === 0 ? reader.varint() : reader.text();
  }
  return fields;
}

/** A list as the value of a map is a message with the list as its first field. */
function readItems(bytes: Uint8Array, of: ValueSchema): unknown[] {
  const items: unknown[] = [];
  for (const [number, wireType, reader] of fieldsIn(bytes)) {
    if (number === 1) items.push(readValue(reader, wireType, of));
    else reader.skip(wireType);
  }
  return items;
}

/** An empty message is Go's zero time: none. */
function readTime(bytes: Uint8Array, micro: boolean): string | undefined {
  if (bytes.length === 0) return undefined;
  const [, seconds = 0, nanos = 0] = readNumbered(bytes);
  const date = new Date(Number(seconds) * 1000);
  if (Number.isNaN(date.getTime())) throw new ProtobufError('proto: time out of range');
  const whole = date.toISOString().slice(0, 19);
  return micro ? `${whole}.${String(Math.floor(Number(nanos) / 1000)).padStart(6, '0')}Z` : `${whole}Z`;
}
