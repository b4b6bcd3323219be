import {
  apiVersionOf,
  customResourceDefinitions,
  definitions,
  labelSelectorOf,
  selectorFromMap,
  type HorizontalPodAutoscaler,
  type KubeObject,
  type LabelSelector,
  type ResourceType,
  type Stored,
} from '@naru/api';
import { customTypeOf } from '../../framework/custom-types';
import type { ControllerDeps } from '../../framework/controller';

export interface Scale {
  type: ResourceType;
  name: string;
  specReplicas: number;
  statusReplicas: number;
  /** The text of a label selector; "" when the target has none. */
  selector: string;
}

type Tree = Record<string, unknown>;

function read(object: unknown, path: string): unknown {
  let value = object;
  for (const part of path.split('.').filter(Boolean)) value = (value as Tree | undefined)?.[part];
  return value;
}

/** Reads the scale of whatever has one: a built-in workload, or a custom resource by what its definition says. */
export async function readScale(autoscaler: Stored<HorizontalPodAutoscaler>, deps: ControllerDeps): Promise<Scale> {
  const { apiVersion = '', kind, name } = autoscaler.spec.scaleTargetRef;
  const found = builtIn(apiVersion, kind) ?? custom(apiVersion, kind, deps);
  if (!found) throw new Error(`no matches for kind "${kind}" in group "${apiVersion.split('/')[0] ?? ''}"`);
  const { type, specReplicas, statusReplicas, selector } = found;
  const object: Stored<KubeObject> = await deps.client.get(type, { namespace: autoscaler.metadata.namespace, name });
  const selects = selector === undefined ? undefined : read(object, selector);
  return {
    type,
    name,
    specReplicas: Number(read(object, specReplicas) ?? 1),
    statusReplicas: Number(read(object, statusReplicas) ?? 0),
    selector: selectorText(selects),
  };
}

/** As text already (custom resources), as a label selector, or as a plain map (ReplicationControllers). */
function selectorText(found: unknown): string {
  if (typeof found === 'string') return found;
  if (!found) return '';
  const { matchLabels, matchExpressions } = found as LabelSelector;
  if (matchLabels || matchExpressions) return labelSelectorOf(found as LabelSelector).toString();
  return selectorFromMap(found as Record<string, string>).toString();
}

function builtIn(apiVersion: string, kind: string) {
  const definition = definitions.find(({ type }) => type.kind === kind && apiVersionOf(type) === apiVersion);
  const { scale } = definition?.subresources ?? {};
  return definition && scale ? { type: definition.type, ...scale } : undefined;
}

function custom(apiVersion: string, kind: string, { informers }: ControllerDeps) {
  const [group] = apiVersion.split('/');
  for (const crd of informers.lister(customResourceDefinitions).list()) {
    if (crd.spec.group !== group || crd.spec.names.kind !== kind) continue;
    const type = customTypeOf(crd);
    const scale = crd.spec.versions.find(({ name }) => name === type?.version)?.subresources?.scale;
    if (!type || !scale) continue;
    const { specReplicasPath, statusReplicasPath, labelSelectorPath = '' } = scale;
    return { type, specReplicas: specReplicasPath, statusReplicas: statusReplicasPath, selector: labelSelectorPath };
  }
  return undefined;
}

/** Only the number: whatever else the target has is not ours. */
export async function writeScale(
  namespace: string | undefined,
  scale: Scale,
  replicas: number,
  { client }: ControllerDeps,
) {
  const body = { spec: { replicas } };
  await client.patch(scale.type, { namespace, name: scale.name }, { type: 'merge', body }, { subresource: 'scale' });
}
