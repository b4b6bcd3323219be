import { apiServices, definitions, type APIService, type KubeObject, type ResourceType, type Stored } from '@naru/api';
import { customTypes } from '../../framework/custom-types';
import type { ControllerDeps } from '../../framework/controller';

type Objects = readonly Stored<KubeObject>[];

/** All objects of one resource in a namespace, which are to go with it. */
export interface Content {
  type: Pick<ResourceType, 'group' | 'resource'>;
  list(): Promise<Objects>;
  /** Deletes them all; it is given those that were listed. */
  remove(objects: Objects): Promise<void>;
}

/** Objects of a resource that the api-server itself keeps. */
export function ownContent(type: ResourceType, namespace: string, { client }: ControllerDeps): Content {
  return {
    type,
    list: async () => (await client.list(type, { namespace })).items,
    remove: () => client.deleteCollection(type, { namespace }, { propagationPolicy: 'Background' }),
  };
}

/** What is built in, and what definitions add. */
export function ownContents(namespace: string, deps: ControllerDeps): Content[] {
  const builtIn = definitions.filter(
    ({ type, verbs, storedAs }) => type.namespaced && verbs.includes('delete') && verbs.includes('list') && !storedAs,
  );
  const types = [...builtIn.map(({ type }) => type), ...customTypes(deps.informers).filter(type => type.namespaced)];
  return types.map(type => ownContent(type, namespace, deps));
}

interface Discovered {
  contents: Content[];
  /** Why a group and version could not be asked: `metrics.k8s.io/v1beta1: ...`. */
  failures: string[];
}

/** As servers in Go write it, a list that is empty may be null. */
interface APIResourceList {
  resources: { name: string; namespaced: boolean; verbs: string[] | null }[] | null;
}

/** What extension servers keep. Source: upstream finds the resources of every server by discovery. */
export async function extensionContents(namespace: string, deps: ControllerDeps): Promise<Discovered> {
  const extensions = deps.informers
    .lister(apiServices)
    .list()
    .filter(({ spec }) => spec?.service);
  const found = await Promise.all(extensions.map(service => contentsOf(service, namespace, deps)));
  return { contents: found.flatMap(({ contents }) => contents), failures: found.flatMap(({ failures }) => failures) };
}

async function contentsOf({ spec }: APIService, namespace: string, deps: ControllerDeps): Promise<Discovered> {
  const groupVersion = `${spec?.group}/${spec?.version}`;
  try {
    const { resources } = await deps.readPath<APIResourceList>(`/apis/${groupVersion}`);
    const contents = (resources ?? [])
      .map(({ verbs, ...resource }) => ({ ...resource, verbs: verbs ?? [] }))
      .filter(({ namespaced, verbs }) => namespaced && verbs.includes('list') && verbs.includes('delete'))
      .map(({ name, verbs }): Content => {
        // Names that the server makes up must not lead to what others keep.
        const path = `/apis/${groupVersion}/namespaces/${namespace}/${encodeURIComponent(name)}`;
        const each = (objects: Objects): Promise<unknown> =>
          Promise.all(objects.map(({ metadata }) => deps.deletePath(`${path}/${encodeURIComponent(metadata.name)}`)));
        return {
          type: { group: spec?.group ?? '', resource: name },
          list: async () => (await deps.readPath<{ items: Objects | null }>(path)).items ?? [],
          remove: async objects =>
            void (await (verbs.includes('deletecollection') ? deps.deletePath(path) : each(objects))),
        };
      });
    return { contents, failures: [] };
  } catch (error) {
    return { contents: [], failures: [`${groupVersion}: ${(error as Error).message}`] };
  }
}
