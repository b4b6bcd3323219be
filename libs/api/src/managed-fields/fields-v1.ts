/**
 * A set of fields, in the form in which metadata.managedFields holds it: a tree of path elements ("f:NAME" a field,
 * `k:{KEYS}` and "v:VALUE" an element of a list), where a node is a member when it says so ("." within it) or is empty.
 * Elements are in order. Immutable: the functions here share what does not change, and give back an argument itself
 * where nothing changes.
 * Source: sigs.k8s.io/structured-merge-diff fieldpath.
 */
export interface FieldsV1 {
  readonly [element: string]: FieldsV1;
}

export const self = '.';
/** The one node that is a member without children; as a root it is the empty set. */
export const leaf: FieldsV1 = Object.freeze({});
export const emptySet: FieldsV1 = leaf;

export function isEmptySet(set: FieldsV1): boolean {
  for (const _ in set) return false;
  return true;
}

/** Whether a node below the root is itself in the set. */
export function isMember(node: FieldsV1): boolean {
  return self in node || isEmptySet(node);
}

/** A node with these children; undefined when it is neither a member nor has any. */
export function nodeOf(member: boolean, children: FieldsV1): FieldsV1 | undefined {
  if (isEmptySet(children)) return member ? leaf : undefined;
  return member ? { [self]: leaf, ...children } : children;
}

type Combine = (a: FieldsV1 | undefined, b: FieldsV1 | undefined) => FieldsV1 | undefined;

/** Combines the children of two nodes, of those elements that are in `a` and, with `both`, in `b`. */
function combine(a: FieldsV1, b: FieldsV1, addsFromB: boolean, one: Combine): FieldsV1 {
  let result: Record<string, FieldsV1> | undefined;
  for (const element in a) {
    if (element === self) continue;
    const before = a[element];
    const after = one(before, b[element]);
    if (after === before) continue;
    result ??= { ...a };
    if (after) result[element] = after;
    else delete result[element];
  }
  if (!addsFromB) return result ?? a;
  let grown = false;
  for (const element in b) {
    if (element === self || element in a) continue;
    (result ??= { ...a })[element] = b[element]!;
    grown = true;
  }
  return grown ? sortElements(result!) : (result ?? a);
}

/** The same node with its elements in order: "." sorts before the letters. */
export function sortElements(node: FieldsV1): FieldsV1 {
  const sorted: Record<string, FieldsV1> = {};
  for (const element of Object.keys(node).sort()) sorted[element] = node[element]!;
  return sorted;
}

function withoutSelf(node: FieldsV1): FieldsV1 {
  if (!(self in node)) return node;
  const { [self]: _, ...children } = node;
  return children;
}

function rebuild(node: FieldsV1, member: boolean, children: FieldsV1): FieldsV1 | undefined {
  // `children` comes from `node` and may still hold its mark.
  if (children === node && member === isMember(node)) return node;
  return nodeOf(member, withoutSelf(children));
}

export function union(a: FieldsV1, b: FieldsV1): FieldsV1 {
  if (a === b || isEmptySet(b)) return a;
  return isEmptySet(a) ? b : combine(a, b, true, unionNode);
}

function unionNode(a: FieldsV1 | undefined, b: FieldsV1 | undefined): FieldsV1 | undefined {
  if (!a || !b || a === b) return a ?? b;
  return rebuild(a, isMember(a) || isMember(b), combine(a, b, true, unionNode));
}

/** What is in `a` and not in `b`. */
export function difference(a: FieldsV1, b: FieldsV1): FieldsV1 {
  return isEmptySet(b) ? a : combine(a, b, false, differenceNode);
}

function differenceNode(a: FieldsV1 | undefined, b: FieldsV1 | undefined): FieldsV1 | undefined {
  if (!a || !b) return a;
  return rebuild(a, isMember(a) && !isMember(b), combine(a, b, false, differenceNode));
}

export function intersection(a: FieldsV1, b: FieldsV1): FieldsV1 {
  return combine(a, b, false, intersectionNode);
}

function intersectionNode(a: FieldsV1 | undefined, b: FieldsV1 | undefined): FieldsV1 | undefined {
  if (!a || !b) return undefined;
  return rebuild(a, isMember(a) && isMember(b), combine(a, b, false, intersectionNode));
}

/** Calls with the path of each member: those of a node before those below its children. */
export function eachMember(
  set: FieldsV1,
  visit: (path: readonly string[]) => void,
  path: readonly string[] = [],
): void {
  for (const element in set) if (element !== self && isMember(set[element]!)) visit([...path, element]);
  for (const element in set) if (element !== self) eachMember(set[element]!, visit, [...path, element]);
}
