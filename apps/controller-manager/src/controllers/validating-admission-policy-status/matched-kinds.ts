import type { OpenApiSchema, TypedKind, ValidatingAdmissionPolicy } from '@naru/api';
import { isReason } from '@naru/foundation';

export interface GroupVersionKind {
  group: string;
  version: string;
  kind: string;
}

export interface CheckedKind extends TypedKind {
  /** "apps/v1, Kind=Deployment" */
  title: string;
}

/** Reads what REST serves at a path. */
type ReadPath = <T>(path: string) => Promise<T>;

type Spec = NonNullable<ValidatingAdmissionPolicy['spec']>;
type Rule = NonNullable<NonNullable<Spec['matchConstraints']>['resourceRules']>[number];

/** As upstream: a policy about more is checked for these. */
const maxKinds = 10;
const gvkExtension = 'x-kubernetes-group-version-kind';

/** The path of a group's version, below `/` and below `/openapi/v3/`. */
function pathOf({ group, version }: { group: string; version: string }): string {
  return group === '' ? `api/${version}` : `apis/${group}/${version}`;
}

/** Undefined for what is not served, or cannot be asked: that is no reason to hold the policy back. */
async function served<T>(read: ReadPath, path: string): Promise<T | undefined> {
  try {
    return await read<T>(path);
  } catch (error) {
    if (isReason(error, 'NotFound', 'ServiceUnavailable')) return undefined;
    throw error;
  }
}

interface ResourceList {
  resources: { name: string; kind: string; group?: string; version?: string }[];
}

/** Rules with wildcards say nothing of their kinds, nor do those of subresources. */
function namedResources({ apiGroups = [], apiVersions = [], resources = [] }: Rule) {
  if ([...apiGroups, ...apiVersions].some(name => name.includes('*'))) return [];
  const plain = resources.filter(name => !/[*/]/.test(name)).sort();
  return [...apiGroups]
    .sort()
    .flatMap(group =>
      [...apiVersions].sort().flatMap(version => plain.map(resource => ({ group, version, resource }))),
    );
}

/** The kinds that a policy is about, in the order of group, version and kind. */
export async function matchedKinds(spec: Spec, read: ReadPath): Promise<GroupVersionKind[]> {
  const found = new Map<string, GroupVersionKind>();
  for (const rule of spec.matchConstraints?.resourceRules ?? [])
    for (const { group, version, resource } of namedResources(rule)) {
      if (found.size >= maxKinds) break;
      const list = await served<ResourceList>(read, `/${pathOf({ group, version })}`);
      const named = list?.resources.find(({ name }) => name === resource);
      if (!named) continue;
      const kind = { group: named.group ?? group, version: named.version ?? version, kind: named.kind };
      found.set([kind.group, kind.version, kind.kind].join('\0'), kind);
    }
  return [...found].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, kind]) => kind);
}

interface Document {
  components?: { schemas?: Record<string, OpenApiSchema & { [gvkExtension]?: GroupVersionKind[] }> };
}

/** The kind with its schema; undefined when none is published. */
export async function schemaOf(wanted: GroupVersionKind, read: ReadPath): Promise<CheckedKind | undefined> {
  const { group, version, kind } = wanted;
  const document = await served<Document>(read, `/openapi/v3/${pathOf(wanted)}`);
  const components = document?.components?.schemas ?? {};
  const schema = Object.values(components).find(candidate =>
    candidate[gvkExtension]?.some(own => own.kind === kind && own.group === group && own.version === version),
  );
  return schema && { title: `${group}/${version}, Kind=${kind}`, kind, schema, components };
}
