import { createPrivateKey, generateKeyPairSync, webcrypto } from 'node:crypto';
import { keyAlgorithm } from './x509';

/** A new EC P-256 private key as PKCS#8 PEM; also what signs service account tokens. */
export function createKey(): string {
  return generateKeyPairSync('ec', {
    namedCurve: 'prime256v1',
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  }).privateKey;
}

/** The WebCrypto pair of a PEM private key; SEC1 ("EC PRIVATE KEY") is accepted as well as PKCS#8. */
export async function importKeyPair(
  pem: string,
): Promise<{ privateKey: webcrypto.CryptoKey; publicKey: webcrypto.CryptoKey }> {
  const key = createPrivateKey(pem);
  const jwk = key.export({ format: 'jwk' });
  const publicJwk = { kty: jwk.kty!, crv: jwk.crv!, x: jwk.x!, y: jwk.y! };
  const { subtle } = webcrypto;
  const der = key.export({ type: 'pkcs8', format: 'der' });
  return {
    privateKey: await subtle.importKey('pkcs8', der, keyAlgorithm, true, ['sign']),
    publicKey: await subtle.importKey('jwk', publicJwk, keyAlgorithm, true, ['verify']),
  };
}
