import { X509Certificate, createHash } from 'node:crypto';

/** SHA-256 over the DER of a PEM certificate, in lower-case hex: what a join token pins. */
export function certificateHash(pem: string): string {
  return createHash('sha256').update(new X509Certificate(pem).raw).digest('hex');
}

/** When a PEM certificate ends, in milliseconds since the epoch. */
export function notAfter(pem: string): number {
  return Date.parse(new X509Certificate(pem).validTo);
}

/** True when `certificate` was signed by `authority`; both PEM. Says nothing about time. */
export function isSignedBy(certificate: string, authority: string): boolean {
  return new X509Certificate(certificate).verify(new X509Certificate(authority).publicKey);
}
