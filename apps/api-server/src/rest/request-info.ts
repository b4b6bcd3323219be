import { badRequest } from '../objects/failures';

/** What a URL means. Source: apiserver's RequestInfoFactory. */
export interface RequestInfo {
  path: string;
  /** Absent: not a resource's URL. */
  resource?: ResourcePath;
}

export interface ResourcePath {
  group: string;
  version: string;
  namespace: string;
  resource: string;
  name: string;
  subresource: string;
  /** What follows the subresource as it was sent, for proxies: "", "/" or "/a/b%2F". */
  rest: string;
  /** The deprecated `/watch/` prefix. */
  watch: boolean;
}

/** Subresources of a namespace; anything else after its name is a resource in it. */
const namespaceSubresources = new Set(['status', 'finalize']);

/** @throws StatusError BadRequest for a path that cannot be decoded. */
export function parsePath(path: string): RequestInfo {
  let parts: string[];
  try {
    parts = path.split('/').slice(1);
    if (path.includes('%')) parts = parts.map(decodeURIComponent);
  } catch (cause) {
    throw badRequest(`the path "${path}" cannot be decoded`, cause);
  }
  if (parts.at(-1) === '') parts.pop();
  const isCore = parts[0] === 'api';
  const base = isCore ? 2 : 3;
  if ((!isCore && parts[0] !== 'apis') || parts.length <= base) return { path };
  const group = isCore ? '' : parts[1]!;
  const version = parts[base - 1]!;
  let rest = parts.slice(base);
  const watch = rest[0] === 'watch';
  if (watch) rest = rest.slice(1);
  let namespace = '';
  if (rest[0] === 'namespaces' && rest.length > 2 && !namespaceSubresources.has(rest[2]!)) {
    namespace = rest[1]!;
    rest = rest.slice(2);
  }
  const [resource = '', name = '', subresource = '', ...tail] = rest;
  if (resource === '') return { path };
  const sent = path.split('/').slice(parts.length - tail.length + 1);
  const after = subresource === '' ? '' : sent.map(part => `/${part}`).join('');
  return { path, resource: { group, version, namespace, resource, name, subresource, rest: after, watch } };
}
