import type { PersistentVolume, PersistentVolumeClaim, Pod, Volume } from '../types';

/** Upstream's annotations of volumes and claims. */
export const volumeAnnotations = {
  /** The class, before there was a field for it. */
  betaClass: 'volume.beta.kubernetes.io/storage-class',
  /** On both: the controller chose the other side, so the binding may be undone. */
  boundByController: 'pv.kubernetes.io/bound-by-controller',
  /** On claims: the binding was complete once; if the volume is missing now, its data is lost. */
  bindCompleted: 'pv.kubernetes.io/bind-completed',
  /** On volumes: who made it, and who is to delete it. */
  provisionedBy: 'pv.kubernetes.io/provisioned-by',
  /** On claims: who is to make a volume for it. */
  provisioner: 'volume.kubernetes.io/storage-provisioner',
  betaProvisioner: 'volume.beta.kubernetes.io/storage-provisioner',
  /** On claims: the node that the scheduler has chosen for the first pod. */
  selectedNode: 'volume.kubernetes.io/selected-node',
} as const;

export const defaultClassAnnotation = 'storageclass.kubernetes.io/is-default-class';

/** The name of the class; "" is a volume or claim without class, undefined a claim that did not say. */
export function storageClassOf(object: PersistentVolume | PersistentVolumeClaim): string | undefined {
  return object.metadata?.annotations?.[volumeAnnotations.betaClass] ?? object.spec?.storageClassName;
}

/** Is the volume reserved for the claim: by its uid, or before that was known by its name? */
export function isReservedFor(volume: PersistentVolume, claim: PersistentVolumeClaim): boolean {
  const reference = volume.spec?.claimRef;
  return (
    reference?.name === claim.metadata?.name &&
    reference?.namespace === claim.metadata?.namespace &&
    (!reference?.uid || reference.uid === claim.metadata?.uid)
  );
}

/** The claim has its volume and the two know of each other. */
export function isFullyBound(claim: PersistentVolumeClaim): boolean {
  return !!claim.spec?.volumeName && claim.metadata?.annotations?.[volumeAnnotations.bindCompleted] !== undefined;
}

/** The claim that a volume of a pod stands for; a generic ephemeral volume has one named after both. */
export function claimNameOf(pod: Pod, volume: Volume): string | undefined {
  if (volume.ephemeral) return `${pod.metadata?.name ?? ''}-${volume.name}`;
  return volume.persistentVolumeClaim?.claimName;
}

/** The names of all claims of a pod, each once. */
export function claimNamesOf(pod: Pod): string[] {
  return [...new Set((pod.spec?.volumes ?? []).flatMap(volume => claimNameOf(pod, volume) ?? []))];
}

/** A claim of the name of an ephemeral volume that another made must not be taken. */
export function isEphemeralClaimOf(pod: Pod, claim: PersistentVolumeClaim): boolean {
  return (
    claim.metadata?.ownerReferences?.some(({ uid, controller }) => controller && uid === pod.metadata?.uid) ?? false
  );
}
