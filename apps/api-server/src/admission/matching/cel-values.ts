import { randomUUID } from 'node:crypto';
import type { AdmissionValues, KubeObject } from '@naru/api';
import type { Authorizer } from '../../auth/authorizer';
import type { AdmissionDeps, AdmissionRequest } from '../plugin';
import { kindOf, namespaceOf, operationNames } from './attributes';
import { storedNamespace } from './selectors';

const optionKinds = { create: 'CreateOptions', update: 'UpdateOptions', delete: 'DeleteOptions' } as const;

/** The `request` of an AdmissionReview without its objects: what webhooks and expressions are told alike. */
export function describeRequest(request: AdmissionRequest): Record<string, unknown> {
  const { definition, operation, subresource, name, user, dryRun, fieldManager } = request;
  const { group, version, resource } = definition.type;
  const namespace = namespaceOf(request);
  const kind = kindOf(request);
  return {
    uid: randomUUID(),
    kind,
    resource: { group, version, resource },
    ...(subresource === '' ? {} : { subResource: subresource }),
    requestKind: kind,
    requestResource: { group, version, resource },
    ...(subresource === '' ? {} : { requestSubResource: subresource }),
    ...(name === '' ? {} : { name }),
    ...(namespace === '' ? {} : { namespace }),
    operation: operationNames[operation],
    userInfo: user,
    dryRun,
    options:
      operation === 'connect'
        ? null
        : {
            kind: optionKinds[operation],
            apiVersion: 'meta.k8s.io/v1',
            ...(fieldManager === '' ? {} : { fieldManager }),
            ...(dryRun ? { dryRun: ['All'] } : {}),
          },
  };
}

/** What expressions see of a request, with the objects as the matched version shows them. */
export function celValues(
  request: AdmissionRequest,
  deps: AdmissionDeps,
  authorizer: Authorizer,
  { object, old }: { object: KubeObject | undefined; old: KubeObject | undefined },
): AdmissionValues {
  const { group, version, resource } = request.definition.type;
  const { subresource, name, user } = request;
  return {
    object,
    oldObject: old,
    request: describeRequest(request),
    namespaceObject: storedNamespace(request, deps),
    requested: { group, resource, subresource, namespace: request.namespace, name },
    decide: ({ serviceAccount, ...question }) => {
      const asked = serviceAccount ? accountUser(serviceAccount) : user;
      return authorizer.decide({ user: asked, version: question.path === undefined ? version : '', ...question });
    },
  };
}

function accountUser({ namespace, name }: { namespace: string; name: string }) {
  return {
    username: `system:serviceaccount:${namespace}:${name}`,
    groups: ['system:serviceaccounts', `system:serviceaccounts:${namespace}`, 'system:authenticated'],
  };
}
