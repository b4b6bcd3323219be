import { formatTime } from '@naru/foundation';
import { bindings, pods, type Binding, type Pod } from '@naru/api';
import { admitBody } from '../objects/admission-request';
import { decodeAny } from '../objects/body';
import type { ObjectDeps } from '../objects/deps';
import { badRequest, conflict } from '../objects/failures';
import { modifyObject } from '../objects/modify';
import { jsonReply, type Body, type ObjectReply, type ObjectRequest } from '../objects/request';
import type { VirtualKind } from '../objects/virtual-kind';
import type { Subresource } from './subresource';

const success = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code: 201 };

/** Puts a pod on a node: what the scheduler decides, made true once. */
export const podBinding: Subresource = { name: '/pods/binding', create: bind };

async function bind(deps: ObjectDeps, request: ObjectRequest, body: Body): Promise<ObjectReply> {
  const posted = (await decodeAny(body)) as Binding | undefined;
  const name = request.name || posted?.metadata?.name || '';
  const binding = await admitBody(deps, { ...request, name }, 'create', {
    object: {
      ...posted,
      apiVersion: 'v1',
      kind: bindings.kind,
      metadata: { ...posted?.metadata, name, namespace: request.namespace },
    } as Binding,
  });
  const { target, metadata } = binding;
  const node = target?.name;
  if (!node) throw badRequest('Binding is invalid: target.name: Required value');
  if (target?.kind && target.kind !== 'Node')
    throw badRequest(
      `Binding is invalid: target.kind: Unsupported value: "${target.kind}": supported values: "Node", "<empty>"`,
    );
  const bound = { ...request, definition: deps.scheme.byResource('', 'v1', pods.resource)!, name, subresource: '' };
  await modifyObject(deps, bound, {
    mode: 'raw',
    transform: current => {
      const pod = current as Pod;
      const where = { group: '', resource: 'pods/binding' };
      if (metadata?.uid && metadata.uid !== pod.metadata?.uid)
        throw conflict(
          where,
          name,
          `Precondition failed: UID in precondition: ${metadata.uid}, UID in object meta: ${pod.metadata?.uid}`,
        );
      if (metadata?.resourceVersion && metadata.resourceVersion !== pod.metadata?.resourceVersion)
        throw conflict(
          where,
          name,
          `Precondition failed: ResourceVersion in precondition: ${metadata.resourceVersion}, ResourceVersion in object meta: ${pod.metadata?.resourceVersion}`,
        );
      if (pod.metadata?.deletionTimestamp)
        throw conflict(where, name, `pod ${name} is being deleted, cannot be assigned to a host`);
      if (pod.spec?.nodeName)
        throw conflict(where, name, `pod ${name} is already assigned to node "${pod.spec.nodeName}"`);
      if (pod.spec?.schedulingGates?.length)
        throw conflict(where, name, `pod ${name} has non-empty .spec.schedulingGates`);
      pod.spec!.nodeName = node;
      if (metadata?.annotations) pod.metadata!.annotations = { ...pod.metadata!.annotations, ...metadata.annotations };
      if (metadata?.labels) pod.metadata!.labels = { ...metadata.labels, ...pod.metadata!.labels };
      setScheduled(pod, formatTime(deps.clock.now()));
      return pod;
    },
  });
  return jsonReply(success, 201);
}

/** POST /api/v1/namespaces/NS/bindings: the same, with the pod's name in the body. */
export const bindingCollection: VirtualKind = { resource: `/${bindings.resource}`, create: bind };

function setScheduled(pod: Pod, now: string): void {
  const status = (pod.status ??= {});
  const others = (status.conditions ?? []).filter(({ type }) => type !== 'PodScheduled');
  status.conditions = [
    ...others,
    { type: 'PodScheduled', status: 'True', lastTransitionTime: now, ...generationOf(pod) },
  ];
}

function generationOf(pod: Pod): { observedGeneration?: number } {
  return pod.metadata?.generation ? { observedGeneration: pod.metadata.generation } : {};
}
