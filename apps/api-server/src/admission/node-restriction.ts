import {
  apiReferences,
  csiNodes,
  leases,
  nodes,
  pods,
  serviceAccounts,
  type Node,
  type Pod,
  type ResourceType,
} from '@naru/api';
import type { Authorizer } from '../auth/authorizer';
import { nodeOf } from '../auth/node-authorizer';
import { forbidden } from '../objects/failures';
import { objectOf } from './cached-objects';
import { isResource } from './is-resource';
import { ownerProblem } from './mirror-pods';
import { nodeProblem, podStatusProblem } from './node-updates';
import type { AdmissionDeps, AdmissionPlugin, AdmissionRequest } from './plugin';
import { refuse } from './refuse';
import { podAudiences } from './token-audiences';
import type { TokenRequest } from '../subresources/service-account-token';

const mirrorAnnotation = 'kubernetes.io/config.mirror';

/**
 * What the authorizer cannot see: a node creates only its own Node, Lease and CSINode, mirror pods on itself, and tokens bound to its
 * pods; and it says nothing of itself or its pods by which the scheduler or others would be misled.
 */
export function nodeRestriction({ authorizer }: { authorizer: Authorizer }): AdmissionPlugin {
  return {
    name: 'NodeRestriction',
    handles: ({ user, operation }) => nodeOf(user) !== undefined && (operation === 'create' || operation === 'update'),
    validate(request, deps) {
      const node = nodeOf(request.user)!;
      const { definition, object, old, name, operation } = request;
      const isOwn = name === node;
      const isOf = ({ group, resource }: ResourceType): boolean =>
        definition.type.resource === resource && definition.type.group === group;
      if (isOf(nodes)) {
        const problem = isOwn
          ? nodeProblem(node, object as Node, old as Node | undefined)
          : `node "${node}" is not allowed to modify node "${name}"`;
        if (problem !== undefined) throw refuse(request, problem);
      }
      if (isOf(leases) && !isOwn)
        throw refuse(request, 'can only access node lease with the same name as the requesting node');
      if (isOf(csiNodes) && !isOwn)
        throw refuse(request, 'can only access CSINode with the same name as the requesting node');
      if (operation === 'update' && isResource(request, pods, 'status')) {
        const problem = podStatusProblem(node, object as Pod, old as Pod | undefined);
        if (problem !== undefined) throw refuse(request, problem);
      }
      if (operation !== 'create') return;
      if (isResource(request, pods)) {
        const problem = podProblem(node, object as Pod, deps);
        if (problem !== undefined) throw refuse(request, problem);
      }
      if (isResource(request, serviceAccounts, 'token')) checkToken(node, request, deps, authorizer);
    },
  };
}

/** Why a node may not create the pod. */
function podProblem(node: string, { metadata, spec }: Pod, deps: AdmissionDeps): string | undefined {
  if (metadata?.annotations?.[mirrorAnnotation] === undefined)
    return `pod does not have "${mirrorAnnotation}" annotation, node "${node}" can only create mirror pods`;
  if (spec?.nodeName !== node) return `node "${node}" can only create pods with spec.nodeName set to itself`;
  const problem = ownerProblem(node, metadata.ownerReferences ?? [], objectOf(deps, nodes, '', node));
  if (problem !== undefined) return problem;
  const [reference] = apiReferences(spec);
  return reference && `node "${node}" can not create pods that reference ${reference}`;
}

/** A node gets tokens for its pods only, and for those whom its pods' volumes address, unless it has leave to address others. */
function checkToken(node: string, request: AdmissionRequest, deps: AdmissionDeps, authorizer: Authorizer): void {
  const { user, object, name, namespace } = request;
  const { boundObjectRef: bound, audiences } = (object as TokenRequest).spec ?? {};
  const pod = bound?.kind === 'Pod' ? objectOf(deps, pods, namespace, bound.name ?? '') : undefined;
  if (pod?.spec?.nodeName !== node)
    throw forbidden(serviceAccounts, name, `node requested token not bound to a pod scheduled on node "${node}"`);
  const [audience = '', ...more] = audiences ?? [];
  if (more.length > 0) throw forbidden(serviceAccounts, name, 'node may only request 0 or 1 audiences');
  if (podAudiences(pod, deps).has(audience)) return;
  const wish = { user, verb: 'request-serviceaccounts-token-audience', group: '', version: 'v1' };
  if (authorizer.decide({ ...wish, resource: audience, subresource: '', namespace, name }).allowed) return;
  const why = `${user.username} is not authorized to request tokens for this audience`;
  throw forbidden(serviceAccounts, name, `audience "${audience}" not found in pod spec volume, ${why}`);
}
