import {
  defaultClassAnnotation,
  ingressClasses,
  ingresses,
  persistentVolumeClaims,
  storageClasses,
  storageClassOf,
  type Ingress,
  type KubeObject,
  type PersistentVolumeClaim,
  type ResourceType,
} from '@naru/api';
import { objectsOf } from './cached-objects';
import { isResource } from './is-resource';
import type { AdmissionDeps, AdmissionPlugin } from './plugin';

const ingressClassAnnotation = 'kubernetes.io/ingress.class';
const defaultIngressClassAnnotation = 'ingressclass.kubernetes.io/is-default-class';

/** Of several defaults the newest counts, and of equally old ones the first by name. */
function defaultOf(deps: AdmissionDeps, type: ResourceType<KubeObject>, annotation: string): string | undefined {
  const bornAt = ({ metadata }: KubeObject): number => Date.parse(metadata?.creationTimestamp ?? '');
  const [found] = objectsOf(deps, type, '')
    .filter(({ metadata }) => metadata?.annotations?.[annotation] === 'true')
    .sort((a, b) => bornAt(b) - bornAt(a) || (a.metadata?.name ?? '').localeCompare(b.metadata?.name ?? ''));
  return found?.metadata?.name;
}

/** A claim that names no class gets the default one; one that names the empty class wants none. */
export const defaultStorageClass: AdmissionPlugin = {
  name: 'DefaultStorageClass',
  handles: request => request.operation === 'create' && isResource(request, persistentVolumeClaims),
  admit({ object }, deps) {
    const claim = object as PersistentVolumeClaim;
    if (!claim.spec || (storageClassOf(claim) ?? undefined) !== undefined) return;
    const name = defaultOf(deps, storageClasses, defaultClassAnnotation);
    if (name !== undefined) claim.spec.storageClassName = name;
  },
};

export const defaultIngressClass: AdmissionPlugin = {
  name: 'DefaultIngressClass',
  handles: request => request.operation === 'create' && isResource(request, ingresses),
  admit({ object }, deps) {
    const ingress = object as Ingress;
    const named = ingress.spec?.ingressClassName ?? ingress.metadata?.annotations?.[ingressClassAnnotation];
    if (named !== undefined) return;
    const name = defaultOf(deps, ingressClasses, defaultIngressClassAnnotation);
    if (name !== undefined) ingress.spec = { ...ingress.spec, ingressClassName: name };
  },
};
