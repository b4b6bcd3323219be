import type { Namespace } from '@naru/api';
import { admitBody } from '../objects/admission-request';
import { decodeAny } from '../objects/body';
import { badRequest } from '../objects/failures';
import { modifyObject } from '../objects/modify';
import type { Subresource } from './subresource';

/** The namespace controller's last word: without spec.finalizers a namespace that is being deleted goes away. */
export const namespaceFinalize: Subresource = {
  name: '/namespaces/finalize',
  async update(deps, request, body) {
    const wanted = (await decodeAny(body)) as Namespace | undefined;
    if (typeof wanted !== 'object') throw badRequest('the body of the request is not a Namespace');
    return modifyObject(deps, request, {
      mode: 'raw',
      tracking: 'update',
      transform: async current => {
        const namespace = structuredClone(current) as Namespace;
        namespace.spec = { ...namespace.spec, finalizers: wanted.spec?.finalizers ?? [] };
        if (wanted.metadata?.resourceVersion) namespace.metadata!.resourceVersion = wanted.metadata.resourceVersion;
        return admitBody(deps, request, 'update', { object: namespace, old: current });
      },
    });
  },
};
