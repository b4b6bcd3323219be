import {
  claimFinalizer,
  claimNames,
  isClaimReservedFor,
  isMadeFor,
  podClaimAnnotation,
  pods,
  resourceClaimName,
  resourceClaims,
  resourceClaimTemplates,
  safeEncode,
  type Pod,
  type ResourceClaim,
  type Stored,
} from '@naru/api';
import { objectKey, parseKey } from '@naru/client';
import { isReason } from '@naru/foundation';
import { fnv32 } from '../../framework/canonical';
import { watch, type Controller, type ControllerDeps } from '../../framework/controller';
import { controllerOf, controllerReference, withKind } from '../../framework/owner';
import { isNamespaceTerminating } from '../../pods/pod-control';

type PodClaim = NonNullable<NonNullable<Pod['spec']>['resourceClaims']>[number];

/** Names that are generated leave room for a suffix. */
const maxBaseLength = 58;

/** Will not run any more, or never has: its claims are free. Source: resourceclaim controller, isPodDone. */
function isDone({ metadata, spec, status }: Stored<Pod>): boolean {
  const isTerminal = status?.phase === 'Succeeded' || status?.phase === 'Failed';
  return isTerminal || (metadata.deletionTimestamp !== undefined && !spec?.nodeName);
}

/** The same for a pod whenever it is asked: a claim that was made just before a crash is found again. */
function nameFor({ metadata }: Stored<Pod>, entry: PodClaim): string {
  const suffix = safeEncode(fnv32(`${metadata.uid}/${entry.name}`)).slice(0, 5);
  return `${`${metadata.name}-${entry.name}-`.slice(0, maxBaseLength)}${suffix}`;
}

async function makeClaim(pod: Stored<Pod>, entry: PodClaim, { client, informers }: ControllerDeps): Promise<string> {
  const { namespace } = pod.metadata;
  const key = { namespace, name: nameFor(pod, entry) };
  const present = informers.lister(resourceClaims).get(key);
  if (present && isMadeFor(pod, present)) return key.name;
  const template = informers
    .lister(resourceClaimTemplates)
    .get({ namespace, name: entry.resourceClaimTemplateName ?? '' });
  if (!template) throw new Error(`resourceclaimtemplate "${entry.resourceClaimTemplateName ?? ''}" not found`);
  const { metadata, spec } = template.spec ?? {};
  const annotations = { ...metadata?.annotations, [podClaimAnnotation]: entry.name };
  try {
    await client.create(resourceClaims, {
      apiVersion: 'resource.k8s.io/v1',
      kind: 'ResourceClaim',
      metadata: {
        ...key,
        annotations,
        ...(metadata?.labels ? { labels: metadata.labels } : {}),
        ownerReferences: [controllerReference(pods, pod)],
      },
      spec: spec ?? {},
    });
  } catch (error) {
    if (!isReason(error, 'AlreadyExists')) throw error;
    // Our copy is behind, or somebody else has that name.
    const there = await client.get(resourceClaims, key);
    if (!isMadeFor(pod, there)) throw error;
  }
  return key.name;
}

/** Makes the claims of the pod's templates, and writes their names down where scheduler and kubelet look for them. */
async function ensureClaims(pod: Stored<Pod>, deps: ControllerDeps): Promise<void> {
  const { namespace, name } = pod.metadata;
  const known = pod.status?.resourceClaimStatuses ?? [];
  const made: { name: string; resourceClaimName: string }[] = [];
  for (const entry of pod.spec?.resourceClaims ?? []) {
    if (entry.resourceClaimTemplateName === undefined || resourceClaimName(pod, entry) !== undefined) continue;
    try {
      made.push({ name: entry.name, resourceClaimName: await makeClaim(pod, entry, deps) });
    } catch (error) {
      if (isNamespaceTerminating(error)) return;
      const message = `PodResourceClaim ${entry.name}: ${(error as Error).message}`;
      deps.recorder.record(withKind(pods, pod), { type: 'Warning', reason: 'FailedResourceClaimCreation', message });
      throw error;
    }
  }
  if (made.length === 0) return;
  const status = { resourceClaimStatuses: [...known, ...made] };
  const { resourceVersion } = pod.metadata;
  const body = { metadata: { resourceVersion }, status };
  await deps.client.patch(pods, { namespace, name }, { type: 'merge', body }, { subresource: 'status' });
}

/** A pod that was given its node by others than the scheduler uses claims that are allocated already. */
async function reserveClaims(pod: Stored<Pod>, { client, informers }: ControllerDeps): Promise<void> {
  const { namespace, name: podName, uid } = pod.metadata;
  for (const entry of pod.spec?.resourceClaims ?? []) {
    const claim = informers.lister(resourceClaims).get({ namespace, name: resourceClaimName(pod, entry) ?? '' });
    if (!claim?.status?.allocation || isClaimReservedFor(claim, pod)) continue;
    const { name, resourceVersion } = claim.metadata;
    const reservedFor = [...(claim.status.reservedFor ?? []), { resource: 'pods', name: podName, uid }];
    const body = { metadata: { resourceVersion }, status: { reservedFor } };
    await client.patch(resourceClaims, { namespace, name }, { type: 'merge', body }, { subresource: 'status' });
  }
}

/** Makes ResourceClaims from the templates that pods name. */
export const resourceClaimController: Controller = {
  name: 'resourceclaim-controller',
  eventSource: 'resource_claim',
  watches: ({ informers }) => [
    watch(pods, pod => (pod.spec?.resourceClaims?.length ? [objectKey(pod)] : [])),
    // A pod may have waited for its template.
    watch(resourceClaimTemplates, ({ metadata: { namespace, name } }) =>
      informers
        .lister(pods)
        .list(namespace)
        .filter(({ spec }) => spec?.resourceClaims?.some(entry => entry.resourceClaimTemplateName === name))
        .map(objectKey),
    ),
    watch(resourceClaims, claim => {
      const owner = controllerOf(claim);
      return owner?.kind === 'Pod' ? [`${claim.metadata.namespace ?? ''}/${owner.name}`] : [];
    }),
  ],
  build: deps => ({
    async reconcile(key) {
      const pod = deps.informers.lister(pods).get(parseKey(key));
      if (!pod || pod.metadata.deletionTimestamp || isDone(pod)) return;
      await ensureClaims(pod, deps);
      if (pod.spec?.nodeName) await reserveClaims(pod, deps);
    },
  }),
};

async function release(claim: Stored<ResourceClaim>, { client, informers }: ControllerDeps): Promise<void> {
  const { namespace, name } = claim.metadata;
  const podOf = (podName: string, uid: string): Stored<Pod> | undefined => {
    const pod = informers.lister(pods).get({ namespace, name: podName });
    return pod?.metadata.uid === uid ? pod : undefined;
  };
  const isStillUsed = async (user: { resource: string; name: string; uid: string }): Promise<boolean> => {
    // Others than pods take themselves off.
    if (user.resource !== 'pods') return true;
    const pod = podOf(user.name, user.uid) ?? (await freshPod(user));
    return pod !== undefined && !isDone(pod);
  };
  // Our copy may be behind the reservation: what is given back is lost.
  const freshPod = async (user: { name: string; uid: string }): Promise<Stored<Pod> | undefined> => {
    try {
      const pod = await client.get(pods, { namespace, name: user.name });
      return pod.metadata.uid === user.uid ? pod : undefined;
    } catch (error) {
      if (isReason(error, 'NotFound')) return undefined;
      throw error;
    }
  };
  const users = claim.status?.reservedFor ?? [];
  const isUsed = await Promise.all(users.map(isStillUsed));
  const reservedFor = users.filter((_, i) => isUsed[i]);
  let current = claim;
  const isUnused = reservedFor.length === 0 && (users.length > 0 || claim.metadata.deletionTimestamp !== undefined);
  const isFreed = isUnused && claim.status?.allocation !== undefined;
  if (reservedFor.length < users.length || isFreed) {
    const status = isFreed ? { reservedFor: null, allocation: null, devices: null } : { reservedFor };
    const body = { metadata: { resourceVersion: current.metadata.resourceVersion }, status };
    current = await client.patch(
      resourceClaims,
      { namespace, name },
      { type: 'merge', body },
      { subresource: 'status' },
    );
  }
  const { finalizers = [], resourceVersion } = current.metadata;
  if (current.status?.allocation || !finalizers.includes(claimFinalizer)) return;
  // The scheduler sets the finalizer just before it allocates: it is only taken off again when that has come to an end.
  if (!isUnused) return;
  const body = { metadata: { resourceVersion, finalizers: finalizers.filter(entry => entry !== claimFinalizer) } };
  await client.patch(resourceClaims, { namespace, name }, { type: 'merge', body });
}

/** Claims that were made for a pod are of no use when it is done, though the pod may stay for long. */
async function removeWithPod(claim: Stored<ResourceClaim>, { client, informers }: ControllerDeps): Promise<void> {
  const owner = controllerOf(claim);
  if (owner?.kind !== 'Pod' || claim.metadata.deletionTimestamp) return;
  const { namespace, name, uid } = claim.metadata;
  const pod = informers.lister(pods).get({ namespace, name: owner.name });
  if (!pod || pod.metadata.uid !== owner.uid || !isDone(pod)) return;
  await client.delete(resourceClaims, { namespace, name }, { preconditions: { uid } });
}

/** Gives the devices of ResourceClaims back that no pod uses any more. */
export const resourceClaimReleaseController: Controller = {
  name: 'resourceclaim-release-controller',
  eventSource: 'resource_claim',
  watches: () => [
    watch(resourceClaims, claim => [objectKey(claim)]),
    watch(pods, pod => claimNames(pod).map(name => `${pod.metadata.namespace ?? ''}/${name}`)),
  ],
  build: deps => ({
    async reconcile(key) {
      const claim = deps.informers.lister(resourceClaims).get(parseKey(key));
      if (!claim) return;
      await release(claim, deps);
      await removeWithPod(claim, deps);
    },
  }),
};
