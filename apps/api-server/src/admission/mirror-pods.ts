import type { Node, OwnerReference } from '@naru/api';

/**
 * What is wrong with the owner of a mirror pod; undefined if nothing is. Unlike upstream there may be no owner: our
 * kubelet shows its static pods before it has registered or read its Node.
 */
export function ownerProblem(
  node: string,
  references: readonly OwnerReference[],
  stored: Node | undefined,
): string | undefined {
  const [owner] = references;
  if (references.length > 1) return `node "${node}" can only create pods with a single owner reference set to itself`;
  if (!owner) return undefined;
  if (owner.apiVersion !== 'v1' || owner.kind !== 'Node' || owner.name !== node)
    return `node "${node}" can only create pods with an owner reference set to itself`;
  if (owner.controller !== true)
    return `node "${node}" can only create pods with a controller owner reference set to itself`;
  if (owner.blockOwnerDeletion) return `node "${node}" must not set blockOwnerDeletion on an owner reference`;
  const uid = stored?.metadata?.uid;
  if (owner.uid !== uid) return `node ${node} UID mismatch: expected ${owner.uid} got ${uid ?? ''}`;
  return undefined;
}
