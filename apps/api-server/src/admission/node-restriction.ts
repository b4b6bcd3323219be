import { nodes, pods, serviceAccounts, type Node, type Pod } from '@naru/api';
import { nodeOf } from '../auth/node-authorizer';
import { forbidden } from '../objects/failures';
import { decodeBytes } from '../storage/codec';
import { apiReferences, ownerProblem } from './mirror-pods';
import { nodeProblem, podStatusProblem } from './node-updates';
import type { AdmissionPlugin } from './plugin';

const mirrorAnnotation = 'kubernetes.io/config.mirror';

/**
 * What the authorizer cannot see: a node creates only its own Node, mirror pods on itself, and tokens bound to its
 * pods; and it says nothing of itself or its pods by which the scheduler or others would be misled.
 */
export const nodeRestriction: AdmissionPlugin = {
  name: 'NodeRestriction',
  handles: ({ user, operation }) => nodeOf(user) !== undefined && (operation === 'create' || operation === 'update'),
  validate(request, { storage, scheme }) {
    const node = nodeOf(request.user)!;
    const { definition, object, old, name, namespace, subresource, operation } = request;
    if (definition.type.group !== '') return;
    if (definition.type.resource === nodes.resource) {
      if (name !== node) throw forbidden(nodes, name, `node "${node}" is not allowed to modify node "${name}"`);
      const problem = nodeProblem(node, object as Node, old as Node | undefined);
      if (problem !== undefined) throw forbidden(nodes, name, problem);
    }
    if (operation === 'update') {
      const isStatus = definition.type.resource === pods.resource && subresource === 'status';
      const problem = isStatus ? podStatusProblem(node, object!, old) : undefined;
      if (problem !== undefined) throw forbidden(pods, name, problem);
      return;
    }
    if (definition.type.resource === pods.resource && subresource === '') {
      const pod = object as Pod;
      if (pod.metadata?.annotations?.[mirrorAnnotation] === undefined)
        throw forbidden(
          pods,
          name,
          `pod does not have "${mirrorAnnotation}" annotation, node "${node}" can only create mirror pods`,
        );
      if (pod.spec?.nodeName !== node)
        throw forbidden(pods, name, `node "${node}" can only create pods with spec.nodeName set to itself`);
      const own = storage.cache(scheme.byResource('', 'v1', nodes.resource)!).get('', node);
      const problem = ownerProblem(node, pod.metadata.ownerReferences ?? [], own && decodeBytes<Node>(own.bytes));
      if (problem !== undefined) throw forbidden(pods, name, problem);
      const [reference] = apiReferences(pod.spec);
      if (reference) throw forbidden(pods, name, `node "${node}" can not create pods that reference ${reference}`);
    }
    if (definition.type.resource === serviceAccounts.resource && subresource === 'token') {
      const bound = (object as { spec?: { boundObjectRef?: { kind?: string; name?: string; uid?: string } } }).spec
        ?.boundObjectRef;
      const entry =
        bound?.kind === 'Pod'
          ? storage.cache(scheme.byResource('', 'v1', 'pods')!).get(namespace, bound.name ?? '')
          : undefined;
      const pod = entry && decodeBytes<Pod>(entry.bytes);
      if (!pod || pod.spec?.nodeName !== node)
        throw forbidden(serviceAccounts, name, `node requested token not bound to a pod scheduled on node "${node}"`);
    }
  },
};
