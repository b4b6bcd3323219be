import type { AnyDefinition, KubeObject } from '@naru/api';
import { decodeBytes } from '../storage/codec';

/** Committed bytes as the requested resource shows them: the same, unless it is stored as another kind. */
export function presentBytes(definition: AnyDefinition, bytes: Buffer): Buffer {
  const { storedAs } = definition;
  if (!storedAs || bytes.length === 0) return bytes;
  if (storedAs.fromStoredBytes) return storedAs.fromStoredBytes(bytes);
  return Buffer.from(JSON.stringify(storedAs.fromStored(decodeBytes(bytes))));
}

export function presentObject(definition: AnyDefinition, bytes: Buffer): KubeObject {
  const { storedAs } = definition;
  if (storedAs?.fromStoredBytes) return decodeBytes(storedAs.fromStoredBytes(bytes));
  const object = decodeBytes(bytes);
  return storedAs ? storedAs.fromStored(object) : object;
}

/** To be awaited before bytes are presented, where somebody else must be asked how; undefined where not. */
export function readyToPresent(
  { storedAs }: AnyDefinition,
  bytes: readonly Buffer[],
  signal?: AbortSignal,
): Promise<void> | undefined {
  return storedAs?.prepare?.(bytes, signal);
}
