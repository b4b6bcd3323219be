import { webcrypto } from 'node:crypto';

type X509 = typeof import('@peculiar/x509');

let loaded: Promise<X509> | undefined;

/** The X.509 library, loaded when first needed: most processes only read files and never make a certificate. */
export function loadX509(): Promise<X509> {
  loaded ??= (async () => {
    // The library's dependency container reads decorator metadata, so the polyfill must be there before it.
    await import('reflect-metadata');
    const x509 = await import('@peculiar/x509');
    // The DOM's Crypto, which the library's types name, is not among Node's types.
    x509.cryptoProvider.set(webcrypto as never);
    return x509;
  })();
  return loaded;
}

/** Every key of a cluster is EC P-256: small, fast to make, and understood by everything that speaks TLS 1.2. */
export const keyAlgorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
