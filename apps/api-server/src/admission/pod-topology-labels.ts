import { nodes, pods, type Binding, type KubeObject, type Pod } from '@naru/api';
import { objectOf } from './cached-objects';
import { isResource } from './is-resource';
import type { AdmissionDeps, AdmissionPlugin } from './plugin';

const copied = ['topology.kubernetes.io/zone', 'topology.kubernetes.io/region'];

/** A pod learns by labels in which zone and region its node is, so that it can be told by the downward API. */
export const podTopologyLabels: AdmissionPlugin = {
  name: 'PodTopologyLabels',
  handles: request =>
    request.operation === 'create' && (isResource(request, pods, 'binding') || isResource(request, pods)),
  admit({ subresource, object }, deps) {
    const node = subresource === '' ? (object as Pod).spec?.nodeName : (object as Binding).target?.name;
    if (node) copyLabels(object!, node, deps);
  },
};

function copyLabels(object: KubeObject, name: string, deps: AdmissionDeps): void {
  const labels = objectOf(deps, nodes, '', name)?.metadata?.labels ?? {};
  const found = copied.filter(key => labels[key] !== undefined).map(key => [key, labels[key]!]);
  if (found.length === 0) return;
  const metadata = (object.metadata ??= {});
  metadata.labels = { ...metadata.labels, ...(Object.fromEntries(found) as Record<string, string>) };
}
