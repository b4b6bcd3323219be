import type { AnyDefinition, KubeObject } from '@naru/api';
import { decodeBytes } from '../storage/codec';

/** Committed bytes as the requested resource shows them: the same, unless it is stored as another kind. */
export function presentBytes(definition: AnyDefinition, bytes: Buffer): Buffer {
  if (!definition.storedAs || bytes.length === 0) return bytes;
  return Buffer.from(JSON.stringify(definition.storedAs.fromStored(decodeBytes(bytes))));
}

export function presentObject(definition: AnyDefinition, bytes: Buffer): KubeObject {
  const object = decodeBytes(bytes);
  return definition.storedAs ? definition.storedAs.fromStored(object) : object;
}
