import { pods, serviceAccounts, type Container, type Pod, type ServiceAccount } from '@naru/api';
import { forbidden } from '../objects/failures';
import { randomSuffix } from '@naru/api';
import { decodeBytes } from '../storage/codec';
import { isResource } from './is-resource';
import type { AdmissionDeps, AdmissionPlugin, AdmissionRequest } from './plugin';

const mountPath = '/var/run/secrets/kubernetes.io/serviceaccount';
const mirrorAnnotation = 'kubernetes.io/config.mirror';
/** Upstream's odd number: one hour and a margin, by which old clients are recognized. */
const tokenSeconds = 3607;
const fileMode = 0o644;
/** How often the account `default` is looked for: a controller makes it, soon after its namespace. Source: the plugin's getServiceAccount. */
const looks = 10;
const pauseMs = { least: 100, spread: 100 };

/** Every pod runs under a service account, `default` if it names none, and gets its token mounted. */
export const serviceAccount: AdmissionPlugin = {
  name: 'ServiceAccount',
  handles: request => request.operation === 'create' && isResource(request, pods),
  async admit(request, deps) {
    const pod = request.object as Pod;
    const { spec } = pod;
    if (!spec || pod.metadata?.annotations?.[mirrorAnnotation] !== undefined) return;
    spec.serviceAccountName ||= 'default';
    const { serviceAccountName } = spec;
    const account = await find(serviceAccountName, request, deps);
    if (!account)
      throw forbidden(
        pods,
        request.name,
        `error looking up service account ${request.namespace}/${serviceAccountName}: serviceaccount "${serviceAccountName}" not found`,
      );
    (spec as { serviceAccount?: string }).serviceAccount = serviceAccountName;
    if (!spec.imagePullSecrets?.length && account.imagePullSecrets?.length)
      spec.imagePullSecrets = account.imagePullSecrets;
    if ((spec.automountServiceAccountToken ?? account.automountServiceAccountToken ?? true) !== false) mountToken(spec);
  },
};

async function find(
  name: string,
  { namespace, signal }: AdmissionRequest,
  { storage, scheme, clock }: AdmissionDeps,
): Promise<ServiceAccount | undefined> {
  const cache = storage.cache(scheme.byResource('', 'v1', serviceAccounts.resource)!);
  for (let look = 1; ; look++) {
    const entry = cache.get(namespace, name);
    if (entry) return decodeBytes<ServiceAccount>(entry.bytes);
    if (name !== 'default' || look === looks) return undefined;
    await clock.sleep(pauseMs.least + Math.random() * pauseMs.spread, signal);
  }
}

function present<T>(list: readonly (T | null)[] | null | undefined): T[] {
  return (list ?? []).filter(each => each !== null);
}

function mountToken(spec: NonNullable<Pod['spec']>): void {
  // Validation, which comes later, tells about lists that are missing or hold nothing.
  const containers = [...present<Container>(spec.initContainers), ...present<Container>(spec.containers)];
  const without = containers.filter(({ volumeMounts }) => !volumeMounts?.some(mount => mount.mountPath === mountPath));
  if (without.length === 0) return;
  const existing = present<{ name?: string }>(spec.volumes).find(({ name }) =>
    name?.startsWith('kube-api-access-'),
  )?.name;
  const name = existing ?? `kube-api-access-${randomSuffix()}`;
  for (const container of without)
    container.volumeMounts = [...(container.volumeMounts ?? []), { name, readOnly: true, mountPath }];
  if (existing) return;
  spec.volumes = [
    ...(spec.volumes ?? []),
    {
      name,
      projected: {
        defaultMode: fileMode,
        sources: [
          { serviceAccountToken: { expirationSeconds: tokenSeconds, path: 'token' } },
          { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
          {
            downwardAPI: {
              items: [{ path: 'namespace', fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.namespace' } }],
            },
          },
        ],
      },
    },
  ];
}
