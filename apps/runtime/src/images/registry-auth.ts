import type { cri } from '@naru/proto';
import { StatusError } from '@naru/foundation';
import { httpGet, readBody } from './http-get';

/** One part of a WWW-Authenticate header. */
export interface Challenge {
  scheme: string;
  parameters: Record<string, string>;
}

/** Parses a WWW-Authenticate header, RFC 9110 section 11.6.1, as far as registries use it. */
export function parseChallenge(header: string): Challenge {
  const [, scheme = '', rest = ''] = /^\s*(\S+)\s*(.*)$/s.exec(header) ?? [];
  const parameters: Record<string, string> = {};
  for (const [, key = '', quoted, bare] of rest.matchAll(/([\w-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,]+))/g)) {
    parameters[key.toLowerCase()] = quoted?.replace(/\\(.)/g, '$1') ?? bare ?? '';
  }
  return { scheme: scheme.toLowerCase(), parameters };
}

/** The user and password in the kubelet's credentials; undefined when it gave none. */
export function credentials(auth: cri.AuthConfig | undefined): { username: string; password: string } | undefined {
  if (!auth) return undefined;
  if (auth.username || auth.password) return { username: auth.username, password: auth.password };
  if (!auth.auth) return undefined;
  const decoded = Buffer.from(auth.auth, 'base64').toString('utf8');
  const colon = decoded.indexOf(':');
  if (colon < 0)
    throw new StatusError('BadRequest', 'invalid registry credentials: "auth" is not user:password in base64');
  return { username: decoded.slice(0, colon), password: decoded.slice(colon + 1).replace(/\0+$/, '') };
}

const tokenLimitBytes = 1 << 20;

/**
 * Answers a registry's challenge with the value of an Authorization header. Bearer: asks the realm for a token, with the user and password
 * or the identity token if there is one, else anonymously. Source: distribution/distribution, spec/auth/token.md and oauth.md.
 */
export async function answerChallenge(
  challenge: Challenge,
  { repository, auth, signal }: { repository: string; auth: cri.AuthConfig | undefined; signal: AbortSignal },
): Promise<string> {
  const user = credentials(auth);
  const basic = user && `Basic ${Buffer.from(`${user.username}:${user.password}`).toString('base64')}`;
  if (challenge.scheme === 'basic') {
    if (!basic) throw new StatusError('Unauthorized', 'authorization failed: no basic auth credentials');
    return basic;
  }
  const { realm, service = '', scope = `repository:${repository}:pull` } = challenge.parameters;
  if (challenge.scheme !== 'bearer' || !realm) {
    throw new StatusError('Unauthorized', `authorization failed: unknown challenge "${challenge.scheme}"`);
  }
  const url = new URL(realm);
  let form: URLSearchParams | undefined;
  if (auth?.identityToken) {
    const fields = { grant_type: 'refresh_token', service, scope, client_id: 'naru' };
    form = new URLSearchParams({ ...fields, refresh_token: auth.identityToken });
  } else {
    if (service) url.searchParams.set('service', service);
    url.searchParams.set('scope', scope);
  }
  const headers: Record<string, string> = basic && !form ? { authorization: basic } : {};
  const response = await httpGet(url, { headers, signal, ...(form ? { form } : {}) });
  const { statusCode, statusMessage } = response;
  const answer = parseAnswer((await readBody(response, tokenLimitBytes)).toString('utf8'));
  const token = answer.token ?? answer.access_token;
  if (statusCode !== 200 || !token) {
    throw new StatusError(
      'Unauthorized',
      `failed to fetch a token from ${url.host}: ${statusCode} ${answer.details ?? statusMessage}`,
    );
  }
  return `Bearer ${token}`;
}

interface TokenAnswer {
  token?: string;
  access_token?: string;
  details?: string;
}

function parseAnswer(text: string): TokenAnswer {
  try {
    return (JSON.parse(text) ?? {}) as TokenAnswer;
  } catch {
    return {};
  }
}
