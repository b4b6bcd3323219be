import { randomBytes, type webcrypto } from 'node:crypto';
import type { Extension, PublicKeyType, X509Certificate } from '@peculiar/x509';
import { createKey, importKeyPair } from './keys';
import { toExtension, toJsonName, type AlternativeNames, type Subject } from './names';
import { parseRequest } from './request';
import { keyAlgorithm, loadX509 } from './x509';

/** Both PEM. */
export interface CertificateAndKey {
  certificate: string;
  key: string;
}

export interface CertificateOptions extends AlternativeNames {
  subject: Subject;
  /** Peers that speak to each other in both directions need both. */
  usages: ('client' | 'server')[];
  /** Default 365. */
  days?: number;
}

const dayMs = 86_400_000;

/** Certificates hold from a little before they are made, for clocks that are late. */
const clockSkewMs = 5 * 60_000;

function validity(days: number): { notBefore: Date; notAfter: Date } {
  const now = Date.now();
  return { notBefore: new Date(now - clockSkewMs), notAfter: new Date(now + days * dayMs) };
}

/** 127 random bits: positive, never zero, never used twice. */
function serialNumber(): string {
  const bytes = randomBytes(16);
  bytes[0] = (bytes[0]! & 0x7f) | 0x40;
  return bytes.toString('hex');
}

/** Makes the cluster's self-signed certificate authority; valid ten years unless told otherwise. */
export async function createAuthority(
  options: { commonName?: string; days?: number } = {},
): Promise<CertificateAndKey> {
  const x509 = await loadX509();
  const { commonName = 'naru-ca', days = 3650 } = options;
  const key = createKey();
  const keys = await importKeyPair(key);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: toJsonName({ commonName }),
    ...validity(days),
    keys,
    signingAlgorithm: keyAlgorithm,
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(
        x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign | x509.KeyUsageFlags.digitalSignature,
        true,
      ),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { certificate: `${certificate.toString('pem')}\n`, key };
}

/** The certificate authority of a cluster: signs leaf certificates, never further authorities. */
export class Authority {
  /** PEM. */
  readonly certificate: string;
  readonly #issuer: X509Certificate;
  readonly #signingKey: webcrypto.CryptoKey;

  private constructor(certificate: string, issuer: X509Certificate, signingKey: webcrypto.CryptoKey) {
    this.certificate = certificate;
    this.#issuer = issuer;
    this.#signingKey = signingKey;
  }

  /** From the PEM pair that `createAuthority` made, or a user's own EC P-256 authority. */
  static async load({ certificate, key }: CertificateAndKey): Promise<Authority> {
    const x509 = await loadX509();
    const { privateKey } = await importKeyPair(key);
    return new Authority(certificate, new x509.X509Certificate(certificate), privateKey);
  }

  /** A new key and its certificate. */
  async issue(options: CertificateOptions): Promise<CertificateAndKey> {
    const key = createKey();
    const { publicKey } = await importKeyPair(key);
    return { certificate: await this.#certify(publicKey, options), key };
  }

  /**
   * Certifies the key of a PEM request. Subject, names and usages are the caller's decision, not the request's: read
   * them with `readRequest` and check them first. Throws BadRequest when the request is malformed or not genuine.
   */
  async sign(request: string, options: CertificateOptions): Promise<string> {
    return this.#certify((await parseRequest(request)).publicKey, options);
  }

  async #certify(publicKey: PublicKeyType, options: CertificateOptions): Promise<string> {
    const x509 = await loadX509();
    const oids = { client: x509.ExtendedKeyUsage.clientAuth, server: x509.ExtendedKeyUsage.serverAuth };
    const names = await toExtension(options);
    const extensions: Extension[] = [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension(options.usages.map(usage => oids[usage])),
      await x509.AuthorityKeyIdentifierExtension.create(this.#issuer.publicKey),
      ...(names ? [names] : []),
    ];
    const certificate = await x509.X509CertificateGenerator.create({
      serialNumber: serialNumber(),
      subject: toJsonName(options.subject),
      issuer: this.#issuer.subject,
      ...validity(options.days ?? 365),
      publicKey,
      signingKey: this.#signingKey,
      signingAlgorithm: keyAlgorithm,
      extensions,
    });
    return `${certificate.toString('pem')}\n`;
  }
}
