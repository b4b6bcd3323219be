import type { AnyDefinition } from '../scheme/definition';

/** One subresource as discovery shows it. */
export interface SubresourceInfo {
  name: string;
  group: string;
  version: string;
  kind: string;
  verbs: readonly string[];
}

const readWrite = ['get', 'patch', 'update'];
const anyMethod = ['create', 'delete', 'get', 'patch', 'update'];

/** Those whose body is not of their parent's kind; "" in the key means any parent. */
const special: Record<string, Omit<SubresourceInfo, 'name'>> = {
  'pods/binding': { group: '', version: 'v1', kind: 'Binding', verbs: ['create'] },
  'pods/eviction': { group: 'policy', version: 'v1', kind: 'Eviction', verbs: ['create'] },
  'pods/log': { group: '', version: 'v1', kind: 'Pod', verbs: ['get'] },
  'pods/exec': { group: '', version: 'v1', kind: 'PodExecOptions', verbs: ['create', 'get'] },
  'pods/attach': { group: '', version: 'v1', kind: 'PodAttachOptions', verbs: ['create', 'get'] },
  'pods/portforward': { group: '', version: 'v1', kind: 'PodPortForwardOptions', verbs: ['create', 'get'] },
  'pods/proxy': { group: '', version: 'v1', kind: 'PodProxyOptions', verbs: anyMethod },
  'nodes/proxy': { group: '', version: 'v1', kind: 'NodeProxyOptions', verbs: anyMethod },
  'services/proxy': { group: '', version: 'v1', kind: 'ServiceProxyOptions', verbs: anyMethod },
  'namespaces/finalize': { group: '', version: 'v1', kind: 'Namespace', verbs: ['update'] },
  'serviceaccounts/token': { group: 'authentication.k8s.io', version: 'v1', kind: 'TokenRequest', verbs: ['create'] },
};

export function hasSubresource({ subresources }: AnyDefinition, name: string): boolean {
  if (name === 'status') return subresources.status === true;
  return name === 'scale' ? subresources.scale !== undefined : (subresources.special?.includes(name) ?? false);
}

/** The subresources of a kind, sorted by name. */
export function subresourcesOf({ type, subresources }: AnyDefinition): SubresourceInfo[] {
  const own = { group: type.group, version: type.version, kind: type.kind, verbs: readWrite };
  const all: SubresourceInfo[] = [];
  if (subresources.status) all.push({ name: 'status', ...own });
  if (subresources.scale)
    all.push({ name: 'scale', group: 'autoscaling', version: 'v1', kind: 'Scale', verbs: readWrite });
  for (const name of subresources.special ?? []) all.push({ name, ...(special[`${type.resource}/${name}`] ?? own) });
  return all.sort((a, b) => (a.name < b.name ? -1 : 1));
}
