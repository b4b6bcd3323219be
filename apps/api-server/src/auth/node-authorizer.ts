import { claimNames, type PersistentVolume, type PersistentVolumeClaim, type Pod } from '@naru/api';
import type { UserInfo } from '../objects/request';
import { decodeBytes } from '../storage/codec';
import type { Entry } from '../storage/entry';
import type { WatchCache } from '../storage/watch-cache';
import type { Attributes, AuthorizationRule } from './authorizer';

const nodesGroup = 'system:nodes';
const nodePrefix = 'system:node:';
const leaseNamespace = 'kube-node-lease';
const read = new Set(['get', 'list', 'watch']);
const write = new Set(['update', 'patch', 'delete']);

/** What every node may read in full: names and addresses, nothing confidential. */
const readable = new Set([
  '/services',
  'node.k8s.io/runtimeclasses',
  'storage.k8s.io/csidrivers',
  'storage.k8s.io/csinodes',
  'storage.k8s.io/volumeattachments',
]);
/** What a node may read object by object, when a pod of its own refers to it. */
const referenced = new Set(['secrets', 'configmaps', 'serviceaccounts', 'persistentvolumeclaims']);
/** Those of them that it may also watch, one by one. */
const watched = new Set(['secrets', 'configmaps']);
const creatable = new Set([
  '/events',
  'events.k8s.io/events',
  'authentication.k8s.io/tokenreviews',
  'authorization.k8s.io/subjectaccessreviews',
  'certificates.k8s.io/certificatesigningrequests',
]);

/** The node that a user is, if it is one. */
export function nodeOf(user: UserInfo): string | undefined {
  if (!user.groups.includes(nodesGroup) || !user.username.startsWith(nodePrefix)) return undefined;
  return user.username.slice(nodePrefix.length);
}

export interface NodeAuthorizerCaches {
  pods: WatchCache;
  claims: WatchCache;
  volumes: WatchCache;
}

/** A node may write itself, its lease and its pods, and read what its pods refer to. */
export class NodeAuthorizer implements AuthorizationRule {
  readonly name = 'Node';
  private readonly references = new WeakMap<Entry, ReadonlySet<string>>();

  constructor(private readonly caches: NodeAuthorizerCaches) {}

  allows(attributes: Attributes): boolean | undefined {
    const node = nodeOf(attributes.user);
    if (node === undefined || attributes.path !== undefined) return undefined;
    return this.allowsNode(node, attributes) ? true : undefined;
  }

  reason({ user, verb, resource, name }: Attributes): string | undefined {
    const node = nodeOf(user);
    if (node === undefined) return undefined;
    if (referenced.has(resource) || resource === 'persistentvolumes' || (resource === 'pods' && verb === 'get'))
      return `no relationship found between node '${node}' and this object`;
    if (!read.has(verb)) return undefined;
    if (resource === 'pods') return 'can only list/watch pods with spec.nodeName field selector';
    if (resource !== 'nodes') return undefined;
    return `node '${node}' cannot read ${name === '' ? 'all nodes' : `'${name}'`}, only its own Node object`;
  }

  private allowsNode(node: string, attributes: Attributes): boolean {
    const { verb, group, resource, subresource, name, namespace } = attributes;
    const id = `${group}/${resource}`;
    if (subresource === '' && read.has(verb) && readable.has(id)) return true;
    if (creatable.has(id))
      return subresource === '' && (verb === 'create' || verb === 'patch' || verb === 'update' || verb === 'get');
    switch (id) {
      case '/nodes':
        if (verb === 'create') return subresource === '';
        if (name !== node) return false;
        // It does not delete itself: it would come back without the taints and labels that others gave it (CVE-2025-5187).
        if (verb === 'update' || verb === 'patch') return subresource === '' || subresource === 'status';
        return read.has(verb) && (subresource === '' || (subresource === 'status' && verb === 'get'));
      case '/pods':
        return subresource === '' && read.has(verb)
          ? this.mayReadPods(node, attributes)
          : this.mayWritePod(node, attributes);
      case 'coordination.k8s.io/leases':
        return namespace === leaseNamespace && (verb === 'create' || name === node);
      case '/serviceaccounts':
        if (subresource === 'token') return verb === 'create' && this.refersTo(node, resource, namespace, name);
        break;
      case '/persistentvolumes':
        return verb === 'get' && subresource === '' && this.volumesOf(node).some(volume => volume.name === name);
      case '/persistentvolumeclaims':
        // The kubelet says that it has grown a volume.
        if (subresource === 'status')
          return (verb === 'update' || verb === 'patch') && this.refersTo(node, resource, namespace, name);
        break;
      case '/secrets':
        if (read.has(verb) && subresource === '' && this.volumesNeed(node, namespace, name)) return true;
        break;
      case 'resource.k8s.io/resourceclaims':
        return verb === 'get' && subresource === '' && this.refersTo(node, resource, namespace, name);
      case 'storage.k8s.io/csinodes':
        return subresource === '' && (verb === 'create' || (name === node && write.has(verb)));
    }
    if (group !== '' || subresource !== '' || !referenced.has(resource)) return false;
    if (verb !== 'get' && !(read.has(verb) && watched.has(resource))) return false;
    return this.refersTo(node, resource, namespace, name);
  }

  private mayReadPods(node: string, { verb, namespace, name, selector }: Attributes): boolean {
    if (verb !== 'get' && selector?.requiresExactly('spec.nodeName') === node) return true;
    if (name === '' || namespace === '') return false;
    const pod = this.caches.pods.get(namespace, name);
    // That a pod is gone is what its last node has to hear.
    return pod ? pod.fields['spec.nodeName'] === node : verb === 'get';
  }

  private mayWritePod(node: string, { verb, subresource, namespace, name }: Attributes): boolean {
    if (verb === 'create' && subresource === '') return true; // mirror pods; NodeRestriction looks at the object
    const own = this.caches.pods.get(namespace, name)?.fields['spec.nodeName'] === node;
    if (subresource === 'status') return own && (verb === 'update' || verb === 'patch' || verb === 'get');
    if (subresource === 'eviction') return own && verb === 'create';
    return own && subresource === '' && verb === 'delete';
  }

  private refersTo(node: string, resource: string, namespace: string, name: string): boolean {
    const wanted = `${resource}/${name}`;
    return this.caches.pods
      .podsOfNode(node)
      .some(entry => entry.namespace === namespace && this.referencesOf(entry).has(wanted));
  }

  /** A secret with which the driver of a pod's persistent volume mounts it. */
  private volumesNeed(node: string, namespace: string, name: string): boolean {
    const wanted = `${namespace}/${name}`;
    return this.volumesOf(node).some(({ bytes }) => secretsOf(decodeBytes<PersistentVolume>(bytes)).has(wanted));
  }

  /** The persistent volumes that claims of the node's pods are bound to. */
  private volumesOf(node: string): Entry[] {
    const { pods, claims, volumes } = this.caches;
    return pods.podsOfNode(node).flatMap(pod =>
      [...this.referencesOf(pod)].flatMap(reference => {
        const [resource = '', claimName = ''] = reference.split('/');
        const claim = resource === 'persistentvolumeclaims' ? claims.get(pod.namespace, claimName) : undefined;
        const volumeName = claim && decodeBytes<PersistentVolumeClaim>(claim.bytes).spec?.volumeName;
        return (volumeName && volumes.get('', volumeName)) || [];
      }),
    );
  }

  private referencesOf(entry: Entry): ReadonlySet<string> {
    let found = this.references.get(entry);
    if (!found) this.references.set(entry, (found = podReferences(decodeBytes<Pod>(entry.bytes))));
    return found;
  }
}

/** NAMESPACE/NAME of the secrets that a node needs to mount a volume. */
function secretsOf({ spec }: PersistentVolume): ReadonlySet<string> {
  const { nodeStageSecretRef, nodePublishSecretRef, nodeExpandSecretRef } = spec?.csi ?? {};
  const all = [nodeStageSecretRef, nodePublishSecretRef, nodeExpandSecretRef];
  return new Set(all.flatMap(secret => (secret ? [`${secret.namespace ?? ''}/${secret.name ?? ''}`] : [])));
}

/** `secrets/NAME`, `configmaps/NAME`, ... that a pod's spec names, in the pod's namespace. */
export function podReferences(pod: Pod): ReadonlySet<string> {
  const found = new Set<string>();
  const add = (resource: string, name: string | undefined): void => {
    if (name) found.add(`${resource}/${name}`);
  };
  const { spec } = pod;
  add('serviceaccounts', spec?.serviceAccountName);
  for (const secret of spec?.imagePullSecrets ?? []) add('secrets', secret.name);
  for (const container of [
    ...(spec?.initContainers ?? []),
    ...(spec?.containers ?? []),
    ...(spec?.ephemeralContainers ?? []),
  ]) {
    for (const source of container.envFrom ?? []) {
      add('configmaps', source.configMapRef?.name);
      add('secrets', source.secretRef?.name);
    }
    for (const { valueFrom } of container.env ?? []) {
      add('configmaps', valueFrom?.configMapKeyRef?.name);
      add('secrets', valueFrom?.secretKeyRef?.name);
    }
  }
  for (const name of claimNames(pod)) add('resourceclaims', name);
  for (const volume of spec?.volumes ?? []) {
    add('configmaps', volume.configMap?.name);
    add('secrets', volume.secret?.secretName);
    add('persistentvolumeclaims', volume.persistentVolumeClaim?.claimName);
    if (volume.ephemeral) add('persistentvolumeclaims', `${pod.metadata?.name ?? ''}-${volume.name}`);
    add('secrets', volume.csi?.nodePublishSecretRef?.name);
    for (const source of volume.projected?.sources ?? []) {
      add('configmaps', source.configMap?.name);
      add('secrets', source.secret?.name);
    }
  }
  return found;
}
