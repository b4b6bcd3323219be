import type { Node, OwnerReference, Pod } from '@naru/api';

/** Free maps of drivers: their keys mean nothing to Kubernetes. */
const opaque = new Set(['volumeAttributes', 'options']);
const secretKey = /^(secret|secretName|secretRef|secretKeyRef)$|SecretRef$/;

/** Which kinds of objects a node's pod refers to, in upstream's words and order; empty for a proper mirror pod. */
export function apiReferences(spec: NonNullable<Pod['spec']>): string[] {
  const found = new Set<string>();
  const { serviceAccountName, serviceAccount, imagePullSecrets, resourceClaims } = spec as Pod['spec'] & {
    serviceAccount?: string;
    resourceClaims?: unknown[];
  };
  if (serviceAccountName || serviceAccount) found.add('a service account');
  if (imagePullSecrets?.length) found.add('secrets');
  if (resourceClaims?.length) found.add('resourceclaims');
  for (const container of [
    ...(spec.initContainers ?? []),
    ...(spec.containers ?? []),
    ...(spec.ephemeralContainers ?? []),
  ])
    collect([container.env, container.envFrom], found);
  collect(spec.volumes, found);
  return order.filter(kind => found.has(kind));
}

const order = [
  'a service account',
  'secrets',
  'configmaps',
  'persistentvolumeclaims',
  'resourceclaims',
  'service account tokens',
  'clustertrustbundles',
  'pod certificates',
];

function collect(value: unknown, found: Set<string>): void {
  if (Array.isArray(value)) {
    for (const each of value) collect(each, found);
    return;
  }
  if (typeof value !== 'object' || value === null) return;
  for (const [key, inner] of Object.entries(value)) {
    if (inner === undefined || inner === null || opaque.has(key)) continue;
    const kind = kindOf(key);
    if (kind && inner !== '') found.add(kind);
    else collect(inner, found);
  }
}

function kindOf(key: string): string | undefined {
  if (secretKey.test(key)) return 'secrets';
  switch (key) {
    case 'configMap':
    case 'configMapRef':
    case 'configMapKeyRef':
      return 'configmaps';
    case 'persistentVolumeClaim':
    case 'ephemeral':
      return 'persistentvolumeclaims';
    case 'serviceAccountToken':
      return 'service account tokens';
    case 'clusterTrustBundle':
      return 'clustertrustbundles';
    case 'podCertificate':
      return 'pod certificates';
    default:
      return undefined;
  }
}

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
