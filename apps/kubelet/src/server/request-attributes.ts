/** What a request to the node's API is in terms of RBAC: a verb on a subresource of `nodes`. */
export interface RequestAttributes {
  verb: string;
  subresource: string;
}

const verbs: Readonly<Record<string, string>> = {
  GET: 'get',
  HEAD: 'get',
  POST: 'create',
  PUT: 'update',
  PATCH: 'patch',
  DELETE: 'delete',
};

/** Route (the first part of the path) → subresource. Everything else reaches into containers and is `proxy`. */
const subresources: Readonly<Record<string, string>> = {
  stats: 'stats',
  metrics: 'metrics',
  logs: 'log',
  checkpoint: 'checkpoint',
};

/** Those that are also reached with a right of their own, which gives less than `proxy`. */
const fineGrained: Readonly<Record<string, string>> = {
  pods: 'pods',
  runningpods: 'pods',
  healthz: 'healthz',
  configz: 'configz',
};

/**
 * The rights of which one is enough, the narrowest first. Source: pkg/kubelet/server/auth.go and the feature
 * KubeletFineGrainedAuthz.
 */
export function requestAttributes(method: string, route: string): [RequestAttributes, ...RequestAttributes[]] {
  const verb = verbs[method] ?? '';
  const own = lookup(subresources, route);
  if (own) return [{ verb, subresource: own }];
  const fine = lookup(fineGrained, route);
  const proxy = { verb, subresource: 'proxy' };
  return fine ? [{ verb, subresource: fine }, proxy] : [proxy];
}

function lookup(table: Readonly<Record<string, string>>, key: string): string | undefined {
  return Object.hasOwn(table, key) ? table[key] : undefined;
}
