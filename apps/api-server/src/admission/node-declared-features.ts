import { featuresToUpdate, missingFeatures, nodes, pods, type Pod } from '@naru/api';
import { objectOf } from './cached-objects';
import { isResource } from './is-resource';
import type { AdmissionPlugin } from './plugin';
import { refuse } from './refuse';

/** A pod is not changed in a way that its node does not know how to carry out. */
export const nodeDeclaredFeatures: AdmissionPlugin = {
  name: 'NodeDeclaredFeatureValidator',
  handles: request =>
    request.operation === 'update' && (isResource(request, pods) || isResource(request, pods, 'resize')),
  validate(request, deps) {
    const [next, old] = [(request.object as Pod).spec, (request.old as Pod).spec];
    if (!next?.nodeName || !old) return;
    const needed = featuresToUpdate(next, old);
    if (needed.length === 0) return;
    const node = objectOf(deps, nodes, '', next.nodeName);
    if (!node) throw refuse(request, `node "${next.nodeName}" not found`);
    const missing = missingFeatures(needed, node.status?.declaredFeatures);
    if (missing.length > 0)
      throw refuse(
        request,
        `pod update requires features ${missing.join(', ')} which are not available on node "${next.nodeName}"`,
      );
  },
};
