import { readFile } from 'node:fs/promises';
import path from 'node:path';

/** What a kubeconfig's current context says of how an api-server is reached. */
export interface RestConfig {
  /** https://HOST:PORT, perhaps with a path. */
  server: string;
  /** PEM of those whose server certificates are trusted; absent: the system's. */
  ca: string | undefined;
  certificate: string | undefined;
  key: string | undefined;
  /** The name that the server's certificate must have, where it is not the host's. */
  serverName: string | undefined;
  /** Any server certificate will do. */
  insecure: boolean;
  /** The value of the header Authorization, asked for with each request: tokens in files change. */
  authorization(): Promise<string | undefined>;
}

interface Named {
  name: string;
}

interface Cluster {
  server?: string;
  'certificate-authority'?: string;
  'certificate-authority-data'?: string;
  'insecure-skip-tls-verify'?: boolean;
  'tls-server-name'?: string;
  'proxy-url'?: string;
}

interface User {
  'client-certificate'?: string;
  'client-certificate-data'?: string;
  'client-key'?: string;
  'client-key-data'?: string;
  token?: string;
  tokenFile?: string;
  username?: string;
  password?: string;
  exec?: unknown;
  'auth-provider'?: unknown;
}

interface Kubeconfig {
  'current-context'?: string;
  contexts?: (Named & { context?: { cluster?: string; user?: string } })[];
  clusters?: (Named & { cluster?: Cluster })[];
  users?: (Named & { user?: User })[];
}

/** A token in a file is read again after this long. */
const tokenLifeMs = 60_000;

/** Reads the current context of a kubeconfig. Throws an Error that names the file and what is wrong with it. */
export async function loadKubeconfig(file: string): Promise<RestConfig> {
  const wrong = (why: string): Error => new Error(`Cannot use kubeconfig ${file}: ${why}`);
  const config = await parse(file, wrong);
  const chosen = config['current-context'];
  const context = config.contexts?.find(({ name }) => name === chosen)?.context;
  if (!context) throw wrong(chosen ? `there is no context "${chosen}"` : 'it has no current-context');
  const cluster = config.clusters?.find(({ name }) => name === context.cluster)?.cluster;
  if (!cluster?.server) throw wrong(`there is no cluster "${context.cluster ?? ''}" with a server`);
  const user = config.users?.find(({ name }) => name === context.user)?.user ?? {};
  if (user.exec || user['auth-provider']) throw wrong(`user "${context.user}" wants a credential plugin`);
  if (cluster['proxy-url']) throw wrong(`cluster "${context.cluster}" wants a proxy`);
  const pem = async (data: string | undefined, name: string | undefined): Promise<string | undefined> => {
    if (data) return Buffer.from(data, 'base64').toString();
    return name ? readFile(path.resolve(path.dirname(file), name), 'utf8') : undefined;
  };
  return {
    server: cluster.server.replace(/\/+$/, ''),
    ca: await pem(cluster['certificate-authority-data'], cluster['certificate-authority']),
    certificate: await pem(user['client-certificate-data'], user['client-certificate']),
    key: await pem(user['client-key-data'], user['client-key']),
    serverName: cluster['tls-server-name'],
    insecure: cluster['insecure-skip-tls-verify'] === true,
    authorization: authorizationOf(user, path.dirname(file)),
  };
}

async function parse(file: string, wrong: (why: string) => Error): Promise<Kubeconfig> {
  const text = await readFile(file, 'utf8');
  try {
    const { parse: parseYaml } = await import('yaml');
    return (parseYaml(text) ?? {}) as Kubeconfig;
  } catch (error) {
    throw wrong((error as Error).message);
  }
}

function authorizationOf(user: User, folder: string): RestConfig['authorization'] {
  const { token, tokenFile, username, password = '' } = user;
  if (tokenFile) {
    const file = path.resolve(folder, tokenFile);
    let known: { value: string; untilMs: number } | undefined;
    return async () => {
      if (!known || known.untilMs < Date.now())
        known = { value: `Bearer ${(await readFile(file, 'utf8')).trim()}`, untilMs: Date.now() + tokenLifeMs };
      return known.value;
    };
  }
  const fixed = token
    ? `Bearer ${token}`
    : username && `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
  return () => Promise.resolve(fixed);
}
