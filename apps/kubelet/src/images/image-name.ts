/** An image reference taken apart. Registry and repository are what they are after docker.io's defaults. */
export interface ImageName {
  registry: string;
  repository: string;
  tag: string;
  digest: string;
}

const pattern =
  /^(?<name>[a-zA-Z0-9._:/-]+?)(?::(?<tag>[\w][\w.-]{0,127}))?(?:@(?<digest>[a-z0-9]+:[0-9a-fA-F]{32,}))?$/;

/** Throws an Error for what is not an image reference: waiting reason InvalidImageName. */
export function parseImageName(text: string): ImageName {
  const match = pattern.exec(text);
  if (!match?.groups) throw new Error(`couldn't parse image name "${text}": invalid reference format`);
  const { name = '', tag = '', digest = '' } = match.groups;
  const [first = '', ...rest] = name.split('/');
  const hasRegistry = rest.length > 0 && (first.includes('.') || first.includes(':') || first === 'localhost');
  const registry = hasRegistry ? first : 'docker.io';
  const path = hasRegistry ? rest.join('/') : name;
  if (!/^[a-z0-9]+(?:[._/-]+[a-z0-9]+)*$/.test(path)) {
    const why = path === path.toLowerCase() ? 'invalid reference format' : 'repository name must be lowercase';
    throw new Error(`couldn't parse image name "${text}": ${why}`);
  }
  const repository = registry === 'docker.io' && !path.includes('/') ? `library/${path}` : path;
  return { registry, repository, tag: tag || (digest ? '' : 'latest'), digest };
}

/** With registry, repository and a tag or digest, as runtimes that know no short names want it. */
export function fullImageName(text: string): string {
  const { registry, repository, tag, digest } = parseImageName(text);
  return `${registry}/${repository}${tag ? `:${tag}` : ''}${digest ? `@${digest}` : ''}`;
}

/** IfNotPresent, but Always for the tag `latest`; what the api-server fills in when a manifest says nothing. */
export function defaultPullPolicy(image: string): 'Always' | 'IfNotPresent' {
  return parseImageName(image).tag === 'latest' ? 'Always' : 'IfNotPresent';
}
