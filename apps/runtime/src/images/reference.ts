import { StatusError } from '@naru/foundation';

/** An image reference in full: `docker.io/library/busybox:1.36`. */
export interface Reference {
  /** Host with an optional port. */
  registry: string;
  /** The path in the registry. */
  repository: string;
  tag: string | undefined;
  /** sha256:... */
  digest: string | undefined;
}

const registryPattern =
  /^(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?\.)*[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?::[0-9]+)?$/;
const repositoryPattern = /^[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*$/;
const tagPattern = /^\w[\w.-]{0,127}$/;
const digestPattern = /^sha(?:256:[0-9a-f]{64}|512:[0-9a-f]{128})$/;
const maxNameLength = 255;

/** True for `sha256:HEX`. */
export function isDigest(text: string): boolean {
  return digestPattern.test(text);
}

function invalid(text: string): StatusError {
  return new StatusError('BadRequest', `couldn't parse image name "${text}": invalid reference format`);
}

/**
 * Parses what people write (`busybox`, `quay.io/a/b:1`, `host:5000/x@sha256:...`), with Docker's defaults: the registry docker.io,
 * its namespace `library`, the tag `latest` unless there is a digest. Grammar: github.com/distribution/reference. Throws BadRequest.
 */
export function parseReference(text: string): Reference {
  const at = text.indexOf('@');
  const digest = at < 0 ? undefined : text.slice(at + 1);
  let name = at < 0 ? text : text.slice(0, at);
  if (digest !== undefined && !isDigest(digest)) throw invalid(text);
  let tag: string | undefined;
  const colon = name.lastIndexOf(':');
  if (colon > name.lastIndexOf('/')) {
    tag = name.slice(colon + 1);
    name = name.slice(0, colon);
    if (!tagPattern.test(tag)) throw invalid(text);
  }
  const slash = name.indexOf('/');
  const first = slash < 0 ? '' : name.slice(0, slash);
  const hasRegistry = /[.:]/.test(first) || first === 'localhost' || first !== first.toLowerCase();
  let registry = hasRegistry ? first : 'docker.io';
  let repository = hasRegistry ? name.slice(slash + 1) : name;
  if (registry === 'index.docker.io') registry = 'docker.io';
  if (registry === 'docker.io' && !repository.includes('/')) repository = `library/${repository}`;
  if (!registryPattern.test(registry) || !repositoryPattern.test(repository)) throw invalid(text);
  if (registry.length + 1 + repository.length > maxNameLength) throw invalid(text);
  return { registry, repository, tag: tag ?? (digest ? undefined : 'latest'), digest };
}

/** `registry/repository`. */
export function repositoryName(reference: Reference): string {
  return `${reference.registry}/${reference.repository}`;
}

/** The name with its tag, or with its digest when it has one: under this the image is stored. */
export function formatReference(reference: Reference): string {
  const name = repositoryName(reference);
  return reference.digest ? `${name}@${reference.digest}` : `${name}:${reference.tag}`;
}
