/** metav1.APIResourceList, as an extension server answers it. */
interface ApiResourceList {
  resources?: {
    name?: string;
    singularName?: string;
    namespaced?: boolean;
    group?: string;
    version?: string;
    kind?: string;
    verbs?: string[];
    shortNames?: string[];
    categories?: string[];
  }[];
}

/** The resources of one version in the form of aggregated discovery. */
export function toDiscoveredResources(list: unknown, group: string, version: string): unknown[] {
  const rows = ((list as ApiResourceList | undefined)?.resources ?? []).filter(row => typeof row?.name === 'string');
  const kindOf = (row: (typeof rows)[number]): unknown => ({
    group: row.group || group,
    version: row.version || version,
    kind: row.kind ?? '',
  });
  return rows
    .filter(row => !row.name!.includes('/'))
    .map(row => {
      const subresources = rows
        .filter(({ name }) => name!.startsWith(`${row.name}/`))
        .map(sub => ({
          subresource: sub.name!.slice(row.name!.length + 1),
          responseKind: kindOf(sub),
          verbs: sub.verbs ?? [],
        }));
      return {
        resource: row.name,
        responseKind: kindOf(row),
        scope: row.namespaced ? 'Namespaced' : 'Cluster',
        singularResource: row.singularName ?? '',
        verbs: row.verbs ?? [],
        ...(row.shortNames ? { shortNames: row.shortNames } : {}),
        ...(row.categories ? { categories: row.categories } : {}),
        ...(subresources.length > 0 ? { subresources } : {}),
      };
    });
}
