import type { Secret } from '@naru/api';
import type { cri } from '@naru/proto';
import type { ImageName } from './image-name';
import { hashOf, type PullSecret } from './pull-records';

interface AuthEntry {
  username?: string;
  password?: string;
  auth?: string;
  identitytoken?: string;
  registrytoken?: string;
}

type AuthMap = Record<string, AuthEntry>;

function readAuths(secret: Secret): AuthMap {
  const json = secret.data?.['.dockerconfigjson'];
  const legacy = secret.data?.['.dockercfg'];
  try {
    if (json) return (JSON.parse(Buffer.from(json, 'base64').toString()) as { auths?: AuthMap }).auths ?? {};
    if (legacy) return JSON.parse(Buffer.from(legacy, 'base64').toString()) as AuthMap;
  } catch {
    // As upstream: what cannot be read is no credential; the pull then fails with the registry's words.
  }
  return {};
}

/** `https://index.docker.io/v1/` and `host/path` alike, to host and path. */
function splitServer(server: string): { host: string; path: string } {
  const bare = server.replace(/^https?:\/\//, '').replace(/\/(v1|v2)?\/?$/, '');
  const [host = '', ...path] = bare.split('/');
  return { host: host === 'index.docker.io' ? 'docker.io' : host, path: path.join('/') };
}

function hostMatches(pattern: string, host: string): boolean {
  const wanted = pattern.split('.');
  const parts = host.split('.');
  if (wanted.length !== parts.length) return false;
  return wanted.every((part, index) => {
    const escaped = part.replace(/[\\^$+?()[\]{}|]/g, '\\$&').replace(/\*/g, '[^.]*');
    return new RegExp(`^${escaped}$`).test(parts[index] as string);
  });
}

function toAuth(entry: AuthEntry): Partial<cri.AuthConfig> {
  let { username = '', password = '' } = entry;
  if (entry.auth && !username) {
    const decoded = Buffer.from(entry.auth, 'base64').toString();
    const at = decoded.indexOf(':');
    username = decoded.slice(0, at);
    password = decoded.slice(at + 1);
  }
  return { username, password, identityToken: entry.identitytoken ?? '', registryToken: entry.registrytoken ?? '' };
}

/** A credential and the secret that it is from. */
export interface PullCredential {
  auth: Partial<cri.AuthConfig>;
  secret: PullSecret;
}

/** The credentials for an image among a pod's pull secrets, the most specific first. */
export function pullCredentials(secrets: readonly Secret[], image: ImageName): PullCredential[] {
  const found: (PullCredential & { path: string })[] = [];
  for (const secret of secrets) {
    for (const [server, entry] of Object.entries(readAuths(secret))) {
      const { host, path } = splitServer(server);
      const pathMatches = path === '' || image.repository === path || image.repository.startsWith(`${path}/`);
      if (!hostMatches(host, image.registry) || !pathMatches) continue;
      const { uid = '', namespace = '', name = '' } = secret.metadata ?? {};
      const auth = toAuth(entry);
      found.push({ path, auth, secret: { uid, namespace, name, credentialHash: hashOf(JSON.stringify(auth)) } });
    }
  }
  return found.sort((a, b) => b.path.length - a.path.length).map(({ auth, secret }) => ({ auth, secret }));
}
