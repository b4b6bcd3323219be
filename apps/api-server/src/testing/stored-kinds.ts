import { apiVersionOf, definitions, type AnyDefinition, type KubeObject } from '@naru/api';
import { kindSamples } from './kind-samples';

/** Each kind that is stored; `name` is such as "apps/v1 Deployment". */
export const storedKinds = definitions
  .filter(({ verbs }) => verbs.includes('watch'))
  .map(definition => {
    const apiVersion = apiVersionOf(definition.type);
    const { kind } = definition.type;
    return { name: `${apiVersion} ${kind}`, apiVersion, kind, definition };
  });

/** An object of the kind, the caller's own. */
export function sampleOf({ type }: AnyDefinition): KubeObject {
  const found = kindSamples.find(({ apiVersion, kind }) => apiVersion === apiVersionOf(type) && kind === type.kind);
  if (!found) throw new Error(`there is no sample of ${apiVersionOf(type)} ${type.kind}`);
  return structuredClone(found);
}

/** The path of a kind's objects, in this namespace if the kind has namespaces; without one: of all. */
export function collectionOf({ type }: AnyDefinition, namespace?: string): string {
  const root = type.group === '' ? '/api' : `/apis/${type.group}`;
  const within = type.namespaced && namespace !== undefined ? `namespaces/${namespace}/` : '';
  return `${root}/${type.version}/${within}${type.resource}`;
}
