import type { AnyDefinition, KubeObject, Scheme } from '@naru/api';
import { decodeBytes, encodeObject, withRevision } from '../../storage/codec';

const known = new WeakMap<AnyDefinition, { generation: number; others: readonly AnyDefinition[] }>();

/** The other versions and groups under which the objects of a resource are served. */
export function equivalentsOf(definition: AnyDefinition, scheme: Scheme): readonly AnyDefinition[] {
  const cached = known.get(definition);
  if (cached?.generation === scheme.generation) return cached.others;
  const home = storedName(definition);
  const others = [...scheme].filter(other => other !== definition && storedName(other) === home);
  known.set(definition, { generation: scheme.generation, others });
  return others;
}

function storedName({ type, storedAs }: AnyDefinition): string {
  const { group, resource } = storedAs?.type ?? type;
  return `${group}/${resource}`;
}

/** A private copy of an object as another of its versions shows it. */
export async function convertObject(
  object: KubeObject,
  from: AnyDefinition,
  to: AnyDefinition,
  signal: AbortSignal,
): Promise<KubeObject> {
  if (from === to) return structuredClone(object);
  const copy = structuredClone(object);
  const stored = from.storedAs ? await from.storedAs.toStored(copy) : copy;
  const { storedAs } = to;
  if (!storedAs) return stored;
  if (!storedAs.fromStoredBytes) return storedAs.fromStored(stored);
  // The revision is only a place holder: the conversion of committed objects expects one.
  const { resourceVersion } = stored.metadata ?? {};
  const bytes = withRevision(encodeObject(stored), Number(resourceVersion ?? 0));
  await storedAs.prepare?.([bytes], signal);
  const converted = decodeBytes(storedAs.fromStoredBytes(bytes));
  if (!resourceVersion) delete converted.metadata?.resourceVersion;
  return converted;
}
