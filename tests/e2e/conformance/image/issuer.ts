import { createPublicKey, verify, type JsonWebKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { askServer } from './in-cluster';

/**
 * Proves a token as a stranger would who trusts only its issuer: by the keys to which the issuer's discovery leads. Prints the
 * claims; fails when the issuer is another, or none of its keys is that of the signature.
 */
export async function proveToken(file: string): Promise<void> {
  const token = readFileSync(file, 'utf8');
  const parts = token.split('.');
  const [header, claims] = parts
    .slice(0, 2)
    .map(part => JSON.parse(Buffer.from(part, 'base64url').toString()) as Record<string, unknown>);
  const discovered = await askServer<{ issuer: string; jwks_uri: string }>('GET', '/.well-known/openid-configuration');
  if (discovered.issuer !== claims!['iss']) throw new Error(`${discovered.issuer} is not ${String(claims!['iss'])}`);
  const { keys } = await askServer<{ keys: (JsonWebKey & { kid: string })[] }>('GET', discovered.jwks_uri);
  const key = keys.find(({ kid }) => kid === header!['kid']);
  if (!key) throw new Error(`no key ${String(header!['kid'])} at ${discovered.jwks_uri}`);
  const signed = Buffer.from(parts.slice(0, 2).join('.'));
  const how = key.kty === 'EC' ? { dsaEncoding: 'ieee-p1363' as const } : {};
  const publicKey = { key: createPublicKey({ key, format: 'jwk' }), ...how };
  if (!verify('sha256', signed, publicKey, Buffer.from(parts[2]!, 'base64url'))) throw new Error('a wrong signature');
  console.log(JSON.stringify(claims));
}
