import {
  customResourceDefinitions,
  isDefinitionConditionTrue,
  type CustomResourceDefinition,
  type ResourceType,
  type Stored,
} from '@naru/api';
import type { ClusterInformers } from './informers';

/** The version to ask for: that of the store, where it is served. None while the resource is not served. */
export function customTypeOf(crd: CustomResourceDefinition): ResourceType | undefined {
  if (!isDefinitionConditionTrue(crd, 'Established')) return undefined;
  const served = crd.spec.versions.filter(version => version.served);
  const version = served.find(({ storage }) => storage) ?? served[0];
  return version && typeOf(crd, version.name);
}

function typeOf({ spec }: CustomResourceDefinition, version: string): ResourceType {
  const { group, names, scope } = spec;
  return { group, version, resource: names.plural, kind: names.kind, namespaced: scope === 'Namespaced' };
}

/** Every custom resource that is served now. */
export function customTypes(informers: ClusterInformers): ResourceType[] {
  return informers
    .lister(customResourceDefinitions)
    .list()
    .flatMap(crd => customTypeOf(crd) ?? []);
}

export interface CustomTypeListener {
  /** `all`: the same resource in each of its versions. */
  onServed(name: string, type: ResourceType, all: readonly ResourceType[]): void;
  onGone(name: string): void;
}

/** Tells of custom resources as they come and go; a changed one goes and comes. */
export function followCustomTypes(informers: ClusterInformers, listener: CustomTypeListener): void {
  const served = new Map<string, string>();
  const look = (crd: Stored<CustomResourceDefinition>): void => {
    const { name, uid } = crd.metadata;
    const type = customTypeOf(crd);
    const all = crd.spec.versions.map(version => typeOf(crd, version.name));
    const identity = type && JSON.stringify([uid, type, all]);
    if (identity === served.get(name)) return;
    if (served.delete(name)) listener.onGone(name);
    if (!type || identity === undefined) return;
    served.set(name, identity);
    listener.onServed(name, type, all);
  };
  informers.get(customResourceDefinitions).addHandler({
    onAdd: look,
    onUpdate: look,
    onDelete: ({ metadata }) => {
      if (served.delete(metadata.name)) listener.onGone(metadata.name);
    },
  });
}
