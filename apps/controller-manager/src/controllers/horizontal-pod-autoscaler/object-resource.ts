import { apiVersionOf, definitions } from '@naru/api';

/** "services" or "ingresses.networking.k8s.io" of a reference. Throws for a kind that is not built in. */
export function parseNamespacedResource({
  apiVersion = 'v1',
  kind,
}: {
  apiVersion?: string | undefined;
  kind: string;
}): string {
  const found = definitions.find(({ type }) => type.kind === kind && apiVersionOf(type) === apiVersion);
  if (!found) throw new Error(`no matches for kind "${kind}" in version "${apiVersion}"`);
  const { group, resource } = found.type;
  return group ? `${resource}.${group}` : resource;
}
