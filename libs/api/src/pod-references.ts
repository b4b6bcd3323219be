import type { PodSpec } from './types';

/** Free maps of drivers: their keys mean nothing to Kubernetes. */
const opaque = new Set(['volumeAttributes', 'options']);
const secretKey = /^(secret|secretName|secretRef|secretKeyRef)$|SecretRef$/;

/** Which kinds of objects a pod refers to, in upstream's words and order; a pod that a node has of its own may refer to none. */
export function apiReferences(spec: PodSpec): string[] {
  const found = new Set<string>();
  const { serviceAccountName, serviceAccount, imagePullSecrets, resourceClaims } = spec as PodSpec & {
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
